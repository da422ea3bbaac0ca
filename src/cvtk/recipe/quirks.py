"""What single architectures need before they can learn from boxes and masks alone.

Each quirk is one small function in `QUIRKS`. It looks for its architecture in a plain configuration, changes
that, and returns a sentence for the log, or nothing where there is nothing to say. To add one, write the
function, put it into `QUIRKS`, and show in tests/recipe/test_quirks.py what it changes.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from cvtk.errors import InstallError, ModelError
from cvtk.recipe.nodes import each_dict, set_where_present

Config: TypeAlias = dict[str, Any]
Quirk: TypeAlias = Callable[[Config, str], "list[str]"]

# The package that a step of a pipeline needs; MMDetection leaves these to the user.
AUGMENTATION_PACKAGES = {"InstaBoost": "instaboostfast", "Albu": "albumentations"}
# Where a module has another name than the package that brings it.
PACKAGES = {"mmpretrain": "onedl-mmpretrain", "skimage": "scikit-image"}


def apply_quirks(cfg: Config, device: str = "cpu") -> list[str]:
    """Fits one of MMDetection's configurations to data that have boxes and masks, but nothing more.

    Call it first, on a configuration read with `Config.fromfile(file, import_custom_modules=False)`: the
    modules that the configuration asks for are imported here, so that a missing one is reported in one line.

    Args:
        cfg: The complete configuration; changed in place.
        device: Where it will be trained, such as "cpu" or "cuda:0".

    Returns:
        Sentences for the log on what is left out; none where the architecture is used as it is.

    Raises:
        InstallError: The architecture needs a package that is not installed.
        ModelError: It learns from text, and not from classes.
    """
    return [note for quirk in QUIRKS for note in quirk(cfg, device)]


def refuse_language_models(cfg: Config, device: str) -> list[str]:
    """GLIP and Grounding DINO find what a text describes."""
    model = cfg["model"]
    if model.get("language_model"):
        raise ModelError(
            f"{model.get('type')} finds what a text describes; cvtk trains models for a list of classes.",
            "Choose another: cvtk models --task det",
        )
    return []


def import_custom_modules(cfg: Config, device: str) -> list[str]:
    """ConvNeXt, EfficientNet and others have their parts in other packages, and Pose2Seg in cvtk's own."""
    for module in (cfg.get("custom_imports") or {}).get("imports") or []:
        _import(str(module), "This architecture")
    return []


def leave_out_semantic_branch(cfg: Config, device: str) -> list[str]:
    """HTC, SCNet and DetectoRS also learn the background (grass, sky), which has no annotations here."""
    branches = [part for part in each_dict(cfg["model"]) if part.get("semantic_head")]
    for part in branches:
        del part["semantic_head"]
        part.pop("semantic_roi_extractor", None)
    for part in each_dict(cfg):
        if part.get("with_seg"):
            part["with_seg"] = False
    set_where_present(cfg["model"], pad_seg=False)
    if branches:
        return [
            "The semantic branch is left out: it would need maps of the background."
        ]
    return []


def use_pytorchs_sync_bn(cfg: Config, device: str) -> list[str]:
    """MMCV's own cannot even be built in a single process; PyTorch's does the same."""
    for part in _of_type(cfg["model"], "MMSyncBN"):
        part["type"] = "SyncBN"
    return []


def give_boxinst_masks(cfg: Config, device: str) -> list[str]:
    """BoxInst draws its own masks from the boxes; loading masks sends its images the usual way."""
    if not list(_of_type(cfg["model"], "BoxInstDataPreprocessor")):
        return []
    _import("skimage", "BoxInst")
    for step in _of_type(cfg["train_dataloader"], "LoadAnnotations"):
        step["with_mask"] = True
    return ["BoxInst learns masks from boxes alone."]


def keep_queryinsts_boxes_inside(cfg: Config, device: str) -> list[str]:
    """A box outside the image, as early epochs have, would stop QueryInst when it pastes the mask."""
    for head in _of_type(cfg["model"], "SparseRoIHead"):
        if head.get("mask_head"):
            head["bbox_head"][-1]["bbox_coder"]["clip_border"] = True
    return []


def leave_out_missing_augmentations(cfg: Config, device: str) -> list[str]:
    """InstaBoost and Albu work by packages that few have; the rest of the recipe does without."""
    missing = {
        kind: package
        for kind, package in AUGMENTATION_PACKAGES.items()
        if importlib.util.find_spec(package) is None
    }
    notes = {}
    for steps in list(_pipelines(cfg)):
        for step in [step for step in steps if _kind(step) in missing]:
            kind = _kind(step)
            steps.remove(step)
            command = f"pip install {missing[kind]}"
            notes[kind] = f"The augmentation {kind} is left out; it needs: {command}"
    return list(notes.values())


def leave_out_mixed_precision(cfg: Config, device: str) -> list[str]:
    """Some recipes train in mixed precision, which MMEngine does on a GPU alone; see `--amp`."""
    wrapper = cfg.get("optim_wrapper") or {}
    if wrapper.get("type") != "AmpOptimWrapper" or device.startswith("cuda"):
        return []
    wrapper["type"] = "OptimWrapper"
    for key in ("loss_scale", "dtype", "use_fsdp"):
        wrapper.pop(key, None)
    return [f"No mixed precision: {device} does not have it."]


def make_schedulers_a_list(cfg: Config, device: str) -> list[str]:
    """Mask2Former has just one scheduler, and no list around it."""
    if isinstance(cfg.get("param_scheduler"), dict):
        cfg["param_scheduler"] = [cfg["param_scheduler"]]
    return []


QUIRKS: tuple[Quirk, ...] = (
    refuse_language_models,
    import_custom_modules,
    leave_out_semantic_branch,
    use_pytorchs_sync_bn,
    give_boxinst_masks,
    keep_queryinsts_boxes_inside,
    leave_out_missing_augmentations,
    leave_out_mixed_precision,
    make_schedulers_a_list,
)


def _of_type(node: Any, kind: str) -> Iterator[Config]:
    """Every part of a configuration that is of a type."""
    return (part for part in each_dict(node) if part.get("type") == kind)


def _pipelines(cfg: Config) -> Iterator[list[Any]]:
    """Every list of steps, in the data loaders, in hooks, and as a variable."""
    for part in each_dict(cfg):
        for key, steps in part.items():
            if str(key).endswith("pipeline") and isinstance(steps, list):
                yield steps


def _kind(step: Any) -> Any:
    return step.get("type") if isinstance(step, dict) else None


def _import(module: str, needed_by: str) -> None:
    """Imports a module, which registers what is in it."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        package = PACKAGES.get(name, name)
        raise InstallError(
            f"{needed_by} needs {name} ({error}).",
            f"Install it: pip install {package}",
        ) from None
