"""Where training starts from, and what it leaves: weights, read without running code."""

from __future__ import annotations

import contextlib
import pickle
import re
from pathlib import Path
from typing import Any

from cvtk.errors import ModelError
from cvtk.log import logger
from cvtk.recipe.nodes import each_dict


def safe_types() -> contextlib.AbstractContextManager[Any]:
    """Lets PyTorch's `weights_only` read MMEngine's own checkpoints.

    `weights_only` takes tensors and plain values. MMEngine's checkpoints also hold the
    history of the losses, so the types of that are allowed by name, and no others.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    def method(owner: Any, name: str) -> Any:  # all that their `getattr` is needed for
        if owner is not HistoryBuffer or name.startswith("_"):
            raise pickle.UnpicklingError(f"getattr of {name}")
        return getattr(owner, name)

    core = getattr(np, "_core", None) or np.core  # since NumPy 2, and before
    allowed = [HistoryBuffer, np.ndarray, np.dtype, (method, "builtins.getattr")]
    allowed += [core.multiarray._reconstruct, core.multiarray.scalar]
    allowed += [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "U1")]
    # PyTorch before 2.5 has no such list: it takes plain weights only
    guard: Any = getattr(torch.serialization, "safe_globals", contextlib.nullcontext)
    return guard(allowed)  # type: ignore[no-any-return]


def read_weights(file: str | Path, trust: bool = False) -> dict[str, Any]:
    """Loads a checkpoint without running code that it may carry.

    Args:
        file: The checkpoint.
        trust: Whether it may hold anything, and so run code as it is loaded.

    Raises:
        ModelError: There is none, or it holds more than weights; the message names what.
    """
    import torch

    try:
        with safe_types():
            weights = torch.load(file, map_location="cpu", weights_only=not trust)
    except FileNotFoundError:
        raise ModelError(f"There are no weights at {file}.") from None
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it would run {refused[1]}" if refused else "it is no file of weights"
        raise ModelError(
            f"{file} was not loaded: {reason}, or it is damaged.",
            "If you trust who made it: --trust_weights." if refused else "",
        ) from None
    return weights if "state_dict" in weights else {"state_dict": weights}


def find_weights(config: Path, weights: str) -> str:
    """The file of a checkpoint: the catalogue's for `coco`, a file, or a URL to download."""
    import mmengine
    import torch

    if weights == "coco":
        index = config.parent / "metafile.yml"
        models = mmengine.load(index)["Models"] if index.is_file() else []
        urls = [
            m.get("Weights") for m in models if Path(m["Config"]).stem == config.stem
        ]
        if not any(urls):
            raise ModelError(
                f"No COCO weights are known for {config.stem}: use --weights none."
            )
        weights = urls[0]
    if "://" not in weights:
        return weights
    file = Path(torch.hub.get_dir(), "checkpoints", weights.rsplit("/", 1)[-1])
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = re.search(r"-([0-9a-f]{8,})\.", file.name)  # the start of its SHA-256
        try:
            torch.hub.download_url_to_file(weights, str(file), digest and digest[1])
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{weights} was not downloaded ({error}). "
                "Use --weights FILE, or --weights none to train from scratch."
            ) from None
    return str(file)


def start_weights(cfg: Any, config: Path, weights: str, trust: bool = False) -> str:
    """Writes the weights to start from, without the parts for other classes; says so.

    Args:
        cfg: The complete configuration.
        config: The architecture's own file.
        weights: "coco", a file or a URL.
        trust: Whether the file may hold anything; see `read_weights`.

    Returns:
        The file, in the workspace.

    Raises:
        ModelError: No such weights, or of another architecture.
    """
    import torch
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    file = find_weights(config, weights)
    state = read_weights(file, trust)["state_dict"]
    init_default_scope("mmdet")
    own = MODELS.build(cfg.model).state_dict()
    fits = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if len(fits) < len(own) / 2:
        names = ", ".join([k for k in own if k not in fits][:3])
        raise ModelError(
            f"{file} is of another architecture: {len(fits)} of {len(own)} parts fit, not {names}, ...",
            "Name weights of this architecture, or use --weights none.",
        )
    new = sorted({k.rsplit(".", 1)[0] for k in own if k not in fits})
    logger.info(
        f"Starts from {file}; new for your classes: {', '.join(new) or 'nothing'}."
    )
    output = Path(cfg.work_dir, "start.weights")
    torch.save({"state_dict": fits}, output)
    return str(output)


def fetch_backbones(cfg: Any, trust: bool = False) -> None:
    """Puts checked local files in the place of what a network's parts begin with.

    MMEngine would open what it downloads without `weights_only`, if need be.

    Args:
        cfg: The complete configuration; changed in place.
        trust: Whether the files may hold anything; see `read_weights`.

    Raises:
        ModelError: No network, or a file that would run code.
    """
    from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

    for part in each_dict(cfg.model):
        start = part.get("init_cfg")
        if not isinstance(start, dict) or start.get("type") != "Pretrained":
            continue
        scheme, _, name = start["checkpoint"].partition("://")
        url = start["checkpoint"]
        if scheme in ("torchvision", "modelzoo"):
            url = get_torchvision_models()[name]
        elif scheme in ("open-mmlab", "openmmlab"):
            url = get_external_models()[name]
        start["checkpoint"] = find_weights(Path(name), url)
        read_weights(start["checkpoint"], trust)


def pick_device(device: str) -> str:
    """`auto` is the GPU where there is one.

    Raises:
        ModelError: There is no such device.
    """
    import torch

    gpu = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if gpu else "cpu"
    if device != "cpu" and not (re.fullmatch(r"cuda(:\d+)?", device) and gpu):
        raise ModelError(
            f"There is no device {device!r} here.",
            "Use --device cpu or auto; `cvtk doctor` shows what PyTorch sees.",
        )
    return device
