"""The run card: all that is known of a training, beside its weights, for programs and for a methods section."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvtk import __version__
from cvtk.analysis.bootstrap import Interval
from cvtk.analysis.methods import methods_text
from cvtk.analysis.study import Study
from cvtk.analysis.thresholds import Thresholds
from cvtk.data.images import in_parallel
from cvtk.engine.spec import ModelSpec
from cvtk.engine.training_data import SetFacts, TrainingData
from cvtk.engine.weights import read_weights
from cvtk.errors import CvtkError
from cvtk.io import atomic_write, sha256_of
from cvtk.log import logger
from cvtk.options import TrainOptions
from cvtk.recipe.sizes import predicted_size
from cvtk.visual.curves import read_scalars, training_rows, validation_rows

CARD, METHODS = ".card.json", ".methods.md"
VERSION = 1
"""Of the card's form."""

_PACKAGES = ("mmcv", "mmdet", "mmengine", "numpy", "torch", "torchvision")
_DISTRIBUTIONS = ("hotcoco", "pycocotools")
_SCENES = "drawn-scenes"  # the package of the weights of scenes
# Of families whose paper MMDetection's index does not name.
_RTMDET = (
    "Lyu C. et al. (2022). RTMDet: An Empirical Study of Designing Real-Time Object Detectors",
    "https://arxiv.org/abs/2212.07784",
)
_PAPERS = {"RTMDet": _RTMDET, "RTMDet-Ins": _RTMDET}

_KIND_NAMES = {"segm": "mask", "bbox": "box"}


@dataclass(frozen=True)
class Done:
    """What a training did.

    Attributes:
        spec: The architecture that was trained.
        options: The user's choices.
        cfg: The complete configuration.
        data: The sets.
        device: Where it trained.
        processes: How many trained together.
        threads: With how many each of them computed on the processor.
        started: When.
        resumed: Whether it went on from a checkpoint of its own.
        thresholds: The scores to cut at, if they were chosen.
        study: The evaluation on the test set, if there is one.
    """

    spec: ModelSpec
    options: TrainOptions
    cfg: Any
    data: TrainingData
    device: str
    processes: int
    threads: int
    started: datetime.datetime
    resumed: bool
    thresholds: Thresholds | None
    study: Study | None


def write_card(done: Done) -> None:
    """Writes `NAME.card.json` and `NAME.methods.md`. Where that fails it says so: the weights are written already."""
    name = done.options.output.with_suffix("")
    with failures_as_warnings(name.with_name(name.name + CARD)):
        card = make_card(done)
        text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
        for ending, content in ((CARD, text + "\n"), (METHODS, methods_text(card))):
            with atomic_write(name.with_name(name.name + ending), force=True) as part:
                part.write_text(content, encoding="utf-8")
        logger.info(f"What was done, for a methods section: see {name}{METHODS}")


@contextlib.contextmanager
def failures_as_warnings(file: Path) -> Iterator[None]:
    """Says that a file could not be written, whatever the reason: hours of training must not end in it."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        logger.warning(f"{file} could not be written ({reason}).")


def make_card(done: Done) -> dict[str, Any]:
    """The run card as plain data; a value that is not defined is None."""
    output = done.options.output
    meta = read_weights(output).get("meta") or {}
    epoch = meta.get("epoch")
    config = output.with_suffix(".py")
    return {
        "card": VERSION,
        "written": _now().isoformat(timespec="seconds"),
        "model": _model(done.spec),
        "weights": {
            "file": output.name,
            "sha256": sha256_of(output),
            "epoch": epoch if isinstance(epoch, int) else None,
        },
        "configuration": {"file": config.name, "sha256": sha256_of(config)},
        "data": {split: _facts(facts) for split, facts in done.data.facts.items()},
        "options": options_record(done.options),
        "decisions": list(done.cfg.get("decisions", [])),
        "training": _training(done),
        "validation": _best_validation(done, epoch),
        "cut_at": done.thresholds.to_plain() if done.thresholds else None,
        "test": _test(done.study),
        "machine": _machine(done),
        "versions": _versions(done.options.weights),
    }


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _model(spec: ModelSpec) -> dict[str, Any]:
    """The architecture, with its paper where the catalogue knows it."""
    from cvtk import zoo

    name = spec.config.stem
    known: dict[str, Any] = {"family": name, "paper": "", "paper_url": ""}
    try:
        entry = zoo.find(name, spec.task)
        if entry.listed:
            paper = (entry.paper_title, entry.paper_url)
            title, url = paper if all(paper) else _PAPERS.get(entry.family, ("", ""))
            known = {"family": entry.family, "paper": title, "paper_url": url}
    except CvtkError:
        pass  # an architecture of one's own
    return {
        "architecture": name,
        **known,
        "task": spec.task,
        "classes": list(spec.classes),
    }


def _facts(facts: SetFacts) -> dict[str, Any]:
    """A set with its hashes: of the annotations, and of the images as `sha256sum` would list them, sorted."""
    digests = in_parallel(lambda file: sha256_of(file[1]), facts.image_files)
    lines = sorted(
        f"{digest}  {name}\n"
        for (name, _), digest in zip(facts.image_files, digests, strict=True)
    )
    images = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape"))
    return {
        "file": str(facts.file),
        "sha256": sha256_of(facts.file),
        "images_sha256": images.hexdigest(),
        "images": len(facts.image_files),
        "objects": sum(facts.by_class.values()),
        "by_class": facts.by_class,
        "crowds": facts.crowds,
        "notes": facts.notes,
    }


def options_record(options: TrainOptions) -> dict[str, Any]:
    """The user's choices and the defaults, as JSON takes them."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
        if name not in ("epochs", "tensorboard", "progress")  # other names; a function
    }


def _training(done: Done) -> dict[str, Any]:
    rows = training_rows(read_scalars(done.options.workspace))
    optimizer = done.cfg.optim_wrapper.optimizer
    batch = done.cfg.train_dataloader.batch_size
    ended = _now()
    return {
        "epochs": rows[-1]["epoch"] if rows else 0,
        "images_per_step": batch * done.options.accumulate * done.processes,
        "optimizer": str(optimizer.type),
        "lr": float(optimizer.lr),
        "transforms": _transforms(done.cfg),
        "predicted_size": predicted_size(done.cfg),
        "resumed": done.resumed,
        "started": done.started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - done.started).total_seconds()),
    }


def _transforms(cfg: Any) -> list[str]:
    """What is done to a training image, without reading and packing it."""
    names: list[str] = []
    dataset = cfg.train_dataloader.dataset
    for hook in cfg.get("custom_hooks") or []:
        if hook.get("switch_epoch") == 0:  # so its steps are used from the start
            dataset = {"pipeline": hook["switch_pipeline"]}
    while isinstance(dataset, Mapping):
        steps = [str(step["type"]) for step in dataset.get("pipeline") or []]
        names = [*steps, *names]  # that of a wrapped set comes first
        dataset = dataset.get("dataset")
    plain = ("Load", "Pack", "FilterAnnotations")
    return list(dict.fromkeys(name for name in names if not name.startswith(plain)))


def _best_validation(done: Done, epoch: Any) -> dict[str, float]:
    """AP on the validation set after the epoch whose weights are used, that which was decided by first."""
    kinds = list(done.cfg.test_evaluator.metric)
    rows = validation_rows(read_scalars(done.options.workspace), kinds)
    best = next((row for row in rows if row["step"] == epoch), None)
    if best is None:
        return {}
    decided = str(done.cfg.default_hooks.checkpoint.save_best)
    named = {
        f"coco/{kind}_mAP{size}": f"{_KIND_NAMES[kind]} AP{size.lstrip('_')}"
        for kind in reversed(kinds)
        for size in ("", "_50", "_75")
    }
    columns = sorted(named, key=lambda column: column != decided)
    return {named[column]: float(best[column]) for column in columns}


def _test(study: Study | None) -> dict[str, Any] | None:
    """The metrics of the test set with their intervals."""
    if study is None:
        return None
    told = study.intervals
    return {
        "overall": _plain(told.overall),
        "by_class": {name: _plain(values) for name, values in told.by_class.items()},
        "limit": study.limit,
        "groups": told.groups,
        "notes": [told.note, *study.thresholds.notes],
    }


def _plain(metrics: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            key: None if math.isnan(value) else value
            for key, value in asdict(interval).items()
        }
        for name, interval in metrics.items()
    }


def _machine(done: Done) -> dict[str, Any]:
    """What it ran on; not whose machine it is."""
    import torch

    has_gpu = done.device.startswith("cuda") and torch.cuda.is_available()
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 1,
        "threads": done.threads,
        "gpu": torch.cuda.get_device_name() if has_gpu else "",
        "device": done.device,
        "processes": done.processes,
    }


def _versions(weights: str) -> dict[str, str]:
    """Of the packages that take part in a training that starts from some weights."""
    found = {"cvtk": __version__}
    for name in _PACKAGES:
        found[name] = str(getattr(sys.modules.get(name), "__version__", ""))
    with_weights = [_SCENES] if weights == "scenes" else []
    for name in (*_DISTRIBUTIONS, *with_weights):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found
