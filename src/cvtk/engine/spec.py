"""What a model is made of: an architecture, its classes, and weights once there are some."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvtk.engine.config_files import read_config
from cvtk.errors import DataError, FileError, InstallError, ModelError
from cvtk.exported.kinds import is_exported
from cvtk.exported.opening import open_file
from cvtk.io import is_file
from cvtk.metrics.detections import Kind
from cvtk.options import DEFAULT_MODELS, PathLike


@dataclass(frozen=True)
class ModelSpec:
    """What a model is made of.

    Attributes:
        name: The architecture or the file that it was made from.
        config: The file of its configuration.
        task: "segm" (masks and boxes) or "det" (boxes).
        classes: Class names in their order.
        category_ids: COCO id of each class.
        weights: The file of its weights, or an exported model; None before training.
        trust_weights: Whether a file of weights may hold anything, and so run code.
    """

    name: str
    config: Path
    task: str
    classes: list[str]
    category_ids: list[int]
    weights: Path | None = None
    trust_weights: bool = False

    @property
    def kind(self) -> Kind:
        """What is compared with the true objects: masks where it finds them, else boxes."""
        return "segm" if self.task == "segm" else "bbox"

    @property
    def is_exported(self) -> bool:
        """Whether it runs without MMDetection."""
        return self.weights is not None and is_exported(self.weights)


def make_spec(
    model: PathLike,
    labels: PathLike | Sequence[str] | None,
    task: str | None,
    trust_weights: bool,
) -> ModelSpec:
    """A model from an architecture, or from weights that were trained before; see `create_model`.

    Raises:
        ModelError: No such architecture or weights, or no labels.
        InstallError: MMDetection is not installed.
    """
    name = str(model) or DEFAULT_MODELS[task or "segm"]
    if is_exported(Path(name)):
        spec = open_exported(Path(name))
        _require_classes(spec, labels)
        return spec
    require_mmdet()
    if name.endswith(".pth"):
        spec = open_weights(Path(name), trust_weights)
        _require_classes(spec, labels)
        return spec
    from cvtk import zoo

    if labels is None:
        raise ModelError(
            f"{name} needs to know your classes.", "Name a label file: labels=..."
        )
    entry = zoo.find(name, task)
    classes = read_names(labels)
    ids = list(range(1, len(classes) + 1))
    return ModelSpec(name, entry.config, task or entry.task, classes, ids)


def open_exported(file: Path) -> ModelSpec:
    """A model from an exported file, which knows all of this itself.

    Raises:
        CvtkError: It cannot be used; see `open_file`.
    """
    about = open_file(file, "cpu").description
    return ModelSpec(
        str(file), file, about.task, about.classes, about.category_ids, file
    )


def open_weights(weights: Path, trust_weights: bool = False) -> ModelSpec:
    """A model from trained weights, with their configuration beside them.

    Raises:
        FileError: One of the two files is missing.
        ModelError: The configuration is not one that a training wrote.
    """
    if not is_file(weights):
        raise FileError(
            f"There are no weights at {weights}.", "Check the path, or train first."
        )
    config = weights.with_suffix(".py")
    if not is_file(config):
        raise FileError(
            f"{weights} needs its configuration beside it: {config} is missing.",
            "Keep the two files together.",
        )
    cfg = read_config(config, trust_weights)
    try:
        meta = cfg.test_dataloader.dataset.metainfo
        classes, ids = _classes_of(meta)
        task = "segm" if "segm" in cfg.test_evaluator.metric else "det"
        _ = cfg.model.type, list(cfg.test_dataloader.dataset.pipeline)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ModelError(
            f"{config} is not the configuration of a training.",
            f"Put the file back that lay beside {weights.name} when it was trained.",
        ) from None
    return ModelSpec(str(weights), config, task, classes, ids, weights, trust_weights)


def _classes_of(meta: Any) -> tuple[list[str], list[int]]:
    """The class names and their COCO ids, from what a configuration notes of its data.

    Raises:
        ValueError: They are not different names with different ids.
    """
    classes = list(meta["classes"])
    ids = list(meta.get("category_ids", range(1, len(classes) + 1)))
    named = classes and all(type(name) is str for name in classes)
    numbered = len(ids) == len(classes) and all(type(i) is int for i in ids)
    if (
        not named
        or not numbered
        or len({*classes}) < len(ids)
        or len({*ids}) < len(ids)
    ):
        raise ValueError("no classes")
    return classes, ids


def read_names(labels: PathLike | Sequence[str]) -> list[str]:
    """Class names, from a label file or as they are given."""
    from cvtk.data.labels import read_labels

    if isinstance(labels, (str, Path)):
        return read_labels(labels)
    names = [str(name) for name in labels]  # type: ignore[union-attr]
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"The labels are {names}.", "Give at least one, and each of them once."
        )
    return names


def _require_classes(spec: ModelSpec, labels: PathLike | Sequence[str] | None) -> None:
    if labels is not None and read_names(labels) != spec.classes:
        raise ModelError(
            f"{spec.name} was trained for {spec.classes}, not {read_names(labels)}.",
            "Leave the labels out, or name the classes in that order.",
        )


def require_mmdet() -> None:
    """Raises InstallError where training cannot work."""
    missing = [
        name
        for name in ("torch", "mmdet", "mmcv", "mmengine")
        if not importlib.util.find_spec(name)
    ]
    if missing:
        raise InstallError(
            f"This needs MMDetection; not installed: {', '.join(missing)}.",
            'Install it with: pip install "cvtk[mmdet]"',
        )
