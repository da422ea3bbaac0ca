"""What single architectures need before they train on instances alone: changes to plain dicts."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from cvtk.config import walk
from cvtk.errors import InstallError, ModelError

# Module that a part of a pipeline or of a model imports -> the package that brings it.
_AUGMENTATIONS = {"InstaBoost": "instaboostfast", "Albu": "albumentations"}
_PACKAGES = {"mmpretrain": "onedl-mmpretrain", "skimage": "scikit-image"}


def adapt(cfg: dict[str, Any], device: str = "cpu") -> list[str]:
    """Fits one of MMDetection's configurations to data that has boxes and masks, but nothing more.

    Call it first, on a configuration read with `Config.fromfile(file, import_custom_modules=False)`: the
    modules that the configuration asks for are imported here, so that a missing one is said in one line.

    Args:
        cfg: The complete configuration; changed in place.
        device: Where it will train, e.g. "cpu" or "cuda:0".

    Returns:
        Sentences for the log about what is left out.

    Raises:
        InstallError: The architecture needs a package that is not installed.
        ModelError: It learns from text beside the images.
    """
    notes = []
    if cfg["model"].get("language_model"):
        raise ModelError(
            f"{cfg['model'].get('type')} is told by text what to find; cvtk trains models by their classes.",
            "Choose another: cvtk models --task det",
        )
    for module in (cfg.get("custom_imports") or {}).get("imports") or []:
        _need(str(module).split(".")[0], "This architecture")
    for part in walk(cfg["model"]):
        if part.pop("semantic_head", None):
            # HTC and its kin learn "stuff" (grass, sky) beside the instances; nobody has such maps here.
            part.pop("semantic_roi_extractor", None)
            notes.append(
                "The semantic branch is left out: it would need maps of the background's kinds."
            )
        if "pad_seg" in part:
            part["pad_seg"] = False
        if part.get("type") == "MMSyncBN":
            # MMCV's own cannot even be built in a single process; PyTorch's is the same with many.
            part["type"] = "SyncBN"
        if part.get("type") == "BoxInstDataPreprocessor":
            _need("skimage", "BoxInst")
            for step in walk(cfg["train_dataloader"]):
                if step.get("type") == "LoadAnnotations":
                    # It makes its own masks from the boxes; with these, images go the way of all others.
                    step["with_mask"] = True
            notes.append("BoxInst learns masks from boxes alone.")
        if part.get("type") == "SparseRoIHead" and part.get("mask_head"):
            # A box outside the image, which an early epoch has, would stop QueryInst as it pastes its mask.
            part["bbox_head"][-1]["bbox_coder"]["clip_border"] = True
    for part in walk(cfg):
        if part.get("with_seg"):
            part["with_seg"] = False
        for key in [k for k in part if k == "pipeline" or k.endswith("_pipeline")]:
            steps = part[key] if isinstance(part[key], list) else []
            for step in [
                s
                for s in steps
                if isinstance(s, dict) and s.get("type") in _AUGMENTATIONS
            ]:
                package = _AUGMENTATIONS[step["type"]]
                if importlib.util.find_spec(package) is None:
                    steps.remove(step)
                    notes.append(
                        f"The augmentation {step['type']} is left out: pip install {package}"
                    )
    optimizer = cfg.get("optim_wrapper") or {}
    if optimizer.get("type") == "AmpOptimWrapper" and not device.startswith("cuda"):
        optimizer["type"] = "OptimWrapper"
        for key in {"loss_scale", "dtype", "use_fsdp"} & optimizer.keys():
            del optimizer[key]
        notes.append(f"No mixed precision: {device} does not have it.")
    if isinstance(cfg.get("param_scheduler"), dict):  # Mask2Former has just the one
        cfg["param_scheduler"] = [cfg["param_scheduler"]]
    return list(dict.fromkeys(notes))


def _need(module: str, what: str) -> None:
    """Imports a module, which registers what is in it."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        package = _PACKAGES.get(module, module)
        raise InstallError(
            f"{what} needs {module} ({error}).", f"Install it: pip install {package}"
        ) from None
