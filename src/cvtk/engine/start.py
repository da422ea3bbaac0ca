"""What a training starts from: weights of COCO or of drawn scenes, a file, an address, or a backbone from ImageNet."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from cvtk.engine.downloads import fetched
from cvtk.engine.weights import load_file, read_weights
from cvtk.errors import ModelError
from cvtk.io import atomic_write
from cvtk.log import logger
from cvtk.recipe.nodes import each_dict


def find_weights(config: Path, weights: str) -> str:
    """The file of a checkpoint: the catalogue's for `coco`, that of `scenes`, a file, or a URL to download.

    Raises:
        ModelError: There is none of such a name.
    """
    if weights == "scenes":
        return str(scenes_file(config))
    address = coco_address(config) if weights == "coco" else weights
    return str(fetched(address)) if "://" in address else address


def coco_address(config: Path) -> str:
    """Where the weights lie that the catalogue names for an architecture.

    Raises:
        ModelError: It names none.
    """
    import mmengine

    index = config.parent / "metafile.yml"
    models = mmengine.load(index)["Models"] if index.is_file() else []
    for model in models:
        if Path(model["Config"]).stem == config.stem and model.get("Weights"):
            return str(model["Weights"])
    raise ModelError(
        f"No COCO weights are known for {config.stem}: use --weights none."
    )


def scenes_file(config: Path) -> Path:
    """The weights of an architecture that learned from drawn scenes; they are a package of their own.

    Raises:
        ModelError: There are none for it, or the package is not installed.
    """
    try:
        from drawn_scenes import WEIGHTS
    except ImportError:
        raise ModelError(
            "--weights scenes needs the package drawn-scenes, which is not installed.",
            "It is the folder scenes of cvtk's repository: pip install ./scenes",
        ) from None
    file: Path | None = WEIGHTS.get(config.stem)
    if file is None:
        raise ModelError(
            f"There are no weights of scenes for {config.stem}, only for {', '.join(WEIGHTS)}.",
            "Choose that model with `cvtk create --model`, or use --weights none.",
        )
    return file


def start_weights(cfg: Any, config: Path, weights: str, trust: bool = False) -> str:
    """Writes the weights to start from, without the parts for other classes; says so.

    Args:
        cfg: The complete configuration.
        config: The architecture's own file.
        weights: "coco", "scenes", a file or a URL.
        trust: Whether the file may hold anything; see `read_weights`.

    Returns:
        The file, in the workspace.

    Raises:
        FileError: There is no such file.
        ModelError: No such weights, or of another architecture.
    """
    import torch
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    file = find_weights(config, weights)
    state = read_weights(file, trust)["state_dict"]
    init_default_scope("mmdet")
    own = MODELS.build(cfg.model).state_dict()
    fits = OrderedDict(
        (name, value)
        for name, value in state.items()
        if name in own and value.shape == own[name].shape
    )
    if len(fits) < len(own) / 2:
        names = ", ".join([name for name in own if name not in fits][:3])
        raise ModelError(
            f"{file} is of another architecture: {len(fits)} of {len(own)} parts fit, not {names}, ...",
            "Name weights of this architecture, or use --weights none.",
        )
    # The versions of layers, without which some would take their weights for those of an older one.
    fits._metadata = getattr(state, "_metadata", OrderedDict())  # type: ignore[attr-defined]
    new = sorted({name.rsplit(".", 1)[0] for name in own if name not in fits})
    logger.info(
        f"Starts from {file}; new for your classes: {', '.join(new) or 'nothing'}."
    )
    output = Path(cfg.work_dir, "start.weights")
    with atomic_write(output, force=True) as part:
        torch.save({"state_dict": fits}, part)
    return str(output)


def fetch_backbones(cfg: Any, trust: bool = False) -> None:
    """Puts checked local files in the place of what a network's parts begin with.

    Each is opened once here, so that a missing network or a damaged file is told before anything else begins.

    Args:
        cfg: The complete configuration; changed in place.
        trust: Whether the files may hold anything; see `read_weights`.

    Raises:
        FileError: There is no such file.
        ModelError: No network, or a file that would run code.
    """
    for part in each_dict(cfg.model):
        start = part.get("init_cfg")
        if isinstance(start, dict) and "checkpoint" in start:
            start["checkpoint"] = _find_backbone(str(start["checkpoint"]))
            read_weights(start["checkpoint"], trust)


def load_named(name: str, trust: bool = False) -> Any:
    """Loads weights by any name that MMEngine takes: a file, a URL, or e.g. "torchvision://resnet50"."""
    return load_file(_find_backbone(name), trust)


def _find_backbone(name: str) -> str:
    """The file of a name that MMEngine takes.

    Raises:
        ModelError: It is not known, or cannot be downloaded.
    """
    from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

    scheme, _, key = name.partition("://")
    known = {}
    if scheme in ("torchvision", "modelzoo"):
        known = get_torchvision_models()
    elif scheme in ("open-mmlab", "openmmlab"):
        known = get_external_models()
    elif "://" not in name:
        return name
    elif scheme in ("http", "https"):
        known = {key: name}
    if key not in known:
        raise ModelError(f"{name} is not known.", "Use a file or a URL of weights.")
    return str(fetched(known[key]))
