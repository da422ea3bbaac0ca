"""What is installed, what really works here, and the command that mends the rest."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from cvtk import __version__

INSTALL = 'pip install "cvtk[mmdet]"'


@dataclasses.dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: What was checked, e.g. `torch`.
        status: `ok`; `note` (training works without it, or something is worth knowing); `fail` (training
            does not work).
        detail: Versions and findings.
        remedy: The command or step that mends it, `""` where nothing is to be done.
    """

    name: str
    status: str
    detail: str
    remedy: str = ""


def examine() -> list[Check]:
    """Runs all checks; takes some seconds, since it imports and tries PyTorch and MMDetection.

    Returns:
        One result per check, in the order in which the parts build on each other. A check that breaks is
        itself a `fail`, never an exception.
    """
    results = []
    # The libraries' own warnings would stand between the lines of the report.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, check in CHECKS.items():
            try:
                results.append(check())
            except Exception as error:
                results.append(
                    Check(
                        name,
                        "fail",
                        f"broken: {_first_line(error)}",
                        f"Reinstall it: {INSTALL}",
                    )
                )
    return results


def can_train(results: list[Check]) -> bool:
    """Whether nothing that training needs has failed."""
    return all(r.status != "fail" for r in results)


def report(results: list[Check]) -> dict[str, Any]:
    """The results for a bug report, as JSON takes them: `cvtk`, `can_train`, and `checks` as dicts."""
    return {
        "cvtk": __version__,
        "can_train": can_train(results),
        "checks": [dataclasses.asdict(r) for r in results],
    }


def check_python() -> Check:
    """Python's version and where it is installed."""
    version = platform.python_version()
    detail = f"{version} ({platform.python_implementation()}), {sys.executable}"
    if sys.version_info >= (3, 14):
        return Check(
            "python", "note", detail, "cvtk is tested with Python 3.10 to 3.13."
        )
    return Check("python", "ok", detail)


def check_platform() -> Check:
    """System, processor, cores."""
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):  # on Linux: those that this process may use
        cores = len(os.sched_getaffinity(0))
    detail = f"{platform.platform()}, {platform.machine()}, {cores} cores"
    return Check("platform", "ok", detail)


def check_cvtk() -> Check:
    """This package's version and where it is installed."""
    return Check("cvtk", "ok", f"{__version__}, {Path(__file__).parent}")


def check_torch() -> Check:
    """PyTorch, with a small product on every device that it offers."""
    torch = _import("torch")
    if isinstance(torch, Check):
        return torch
    gpus = []
    if torch.cuda.is_available():
        gpus += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("mps")
    working, broken = [], []
    for device in ["cpu", *gpus]:
        try:
            working.append(_try_device(torch, device))
        except Exception as error:  # drivers and kernels fail in many ways
            broken.append(f"{device}: {_first_line(error)}")
    detail = f"{torch.__version__}, devices: {', '.join(working)}"
    if broken:
        detail = f"{detail}; not working: {'; '.join(broken)}"
        remedy = "Install the PyTorch that fits your GPU's driver: https://pytorch.org/get-started/locally"
        return Check("torch", "fail", detail, remedy)
    if torch.version.cuda and not gpus:
        detail = f"{detail} (built for CUDA {torch.version.cuda}, no GPU found)"
        remedy = "If this machine has an NVIDIA GPU: see whether nvidia-smi works, and update its driver."
        return Check("torch", "note", detail, remedy)
    return Check("torch", "ok", detail)


def _try_device(torch: Any, device: str) -> str:
    """Computes on a device, and describes it; raises what goes wrong."""
    ones = torch.ones(8, 8, device=device)
    if float((ones @ ones).sum()) != 512.0:
        raise RuntimeError("gives wrong sums")
    if device == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    if device.startswith("cuda"):
        card = torch.cuda.get_device_properties(device)
        return f"{device} ({card.name}, {card.total_memory / 2**30:.0f} GB)"
    return device


def check_torchvision() -> Check:
    """Torchvision, and that its compiled operators belong to this PyTorch."""
    torchvision = _import("torchvision")
    if isinstance(torchvision, Check):
        return torchvision
    version = torchvision.__version__
    remedy = "Install the pair that belongs together: pip install --upgrade torch torchvision"
    try:
        _try_nms(torchvision.ops.nms)
    except Exception as error:
        detail = f"{version}, nms: {_first_line(error)}"
        return Check("torchvision", "fail", detail, remedy)
    return Check("torchvision", "ok", f"{version}, nms works")


def _try_nms(nms: Callable[..., Any]) -> None:
    """Suppresses the second of three boxes, which overlaps the first; raises what goes wrong."""
    import torch

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
    if isinstance(kept, tuple):  # mmcv's gives the boxes as well
        kept = kept[1]
    if kept.tolist() != [0, 2]:
        raise RuntimeError("nms keeps the wrong boxes")


def check_mmengine() -> Check:
    """MMEngine."""
    module = _import("mmengine")
    if isinstance(module, Check):
        return module
    return Check("mmengine", "ok", _version("mmengine"))


def check_mmcv() -> Check:
    """MMCV, and which operators stand behind `mmcv.ops`: compiled ones, or those of cvtk."""
    module = _import("mmcv")
    if isinstance(module, Check):
        return module
    version = _version("mmcv")
    spec = importlib.util.find_spec("mmcv._ext")
    if spec is None:
        # Without the compiled extension and without cvtk's start-up hook.
        detail = f"{version}, without operators (no mmcv._ext)"
        remedy = "Reinstall cvtk, which brings the operators: pip install --force-reinstall --no-deps cvtk"
        return Check("mmcv", "fail", detail, remedy)
    kind = "operators of cvtk (PyTorch and torchvision)"
    remedy = f"Reinstall: {INSTALL}"
    if (spec.origin or "").endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        kind = "compiled operators"
        remedy = (
            "Its operators were compiled for another PyTorch; remove it and install the one without:"
            f" pip uninstall mmcv onedl-mmcv, then {INSTALL}"
        )
    try:
        from mmcv.ops import nms

        _try_nms(nms)
    except Exception as error:
        detail = f"{version}, {kind} do not work: {_first_line(error)}"
        return Check("mmcv", "fail", detail, remedy)
    twice = _installed_twice("mmcv")
    if twice:
        return Check("mmcv", "note", f"{version}, {kind}; {twice[0]}", twice[1])
    return Check("mmcv", "ok", f"{version}, {kind}; nms works")


def check_mmdet() -> Check:
    """MMDetection: whether all its models import, and its catalogue is there."""
    module = _import("mmdet")
    if isinstance(module, Check):
        return module
    import mmdet.models  # noqa: F401 - what fails with unfitting versions of mmcv and mmengine

    from cvtk.zoo import catalogue

    tasks = [entry.task for entry in catalogue()]
    detail = (
        f"{_version('mmdet')}, {tasks.count('segm')} instance segmentation"
        f" and {tasks.count('det')} detection models"
    )
    twice = _installed_twice("mmdet")
    if twice:
        return Check("mmdet", "note", f"{detail}; {twice[0]}", twice[1])
    return Check("mmdet", "ok", detail)


def check_mim() -> Check:
    """OpenMIM, an installer for MMDetection's relatives."""
    module = _import("mim", needed=False, remedy="pip install onedl-mim")
    if isinstance(module, Check):
        return module
    return Check("mim", "ok", _version("mim"))


def check_pycocotools() -> Check:
    """Pycocotools, with one mask there and back."""
    remedy = "pip install --force-reinstall pycocotools"
    module = _import("pycocotools.mask", remedy=remedy)
    if isinstance(module, Check):
        return module
    import numpy as np

    from cvtk.io import decode_mask, encode_mask

    mask = np.eye(5, 7, dtype=np.uint8)
    version = _version("pycocotools")
    if not np.array_equal(decode_mask(encode_mask(mask)), mask):
        detail = f"{version}, masks come back changed"
        return Check("pycocotools", "fail", detail, remedy)
    return Check("pycocotools", "ok", f"{version}, masks work")


def check_hotcoco() -> Check:
    """hotcoco, which the evaluation uses where it is installed."""
    module = _import("hotcoco", needed=False, remedy="pip install hotcoco")
    if isinstance(module, Check):
        return module
    return Check("hotcoco", "ok", _version("hotcoco"))


def check_analysis() -> Check:
    """What measuring objects and drawing figures need."""
    modules = ("matplotlib", "pandas", "skimage", "scipy")
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        detail = f"not installed: {', '.join(missing)}"
        remedy = 'Measurements and figures need them: pip install "cvtk[analysis]"'
        return Check("analysis", "note", detail, remedy)
    shown = ", ".join(f"{name} {_version(name)}" for name in modules)
    return Check("analysis", "ok", shown)


def check_mmpretrain() -> Check:
    """MMPretrain, which only some architectures need."""
    found = importlib.util.find_spec("mmpretrain")
    if found is None:
        remedy = "Only ConvNeXt and other backbones of MMPretrain need it: pip install onedl-mmpretrain"
        return Check("mmpretrain", "note", "not installed", remedy)
    return Check("mmpretrain", "ok", _version("mmpretrain"))


CHECKS: dict[str, Callable[[], Check]] = {
    "python": check_python,
    "platform": check_platform,
    "cvtk": check_cvtk,
    "torch": check_torch,
    "torchvision": check_torchvision,
    "mmengine": check_mmengine,
    "mmcv": check_mmcv,
    "mmdet": check_mmdet,
    "mim": check_mim,
    "pycocotools": check_pycocotools,
    "hotcoco": check_hotcoco,
    "analysis": check_analysis,
    "mmpretrain": check_mmpretrain,
}


def _import(name: str, needed: bool = True, remedy: str = "") -> ModuleType | Check:
    """The module, or the check that says why there is none."""
    label = name.split(".")[0].replace("_", "-")
    status = "fail" if needed else "note"
    remedy = remedy or INSTALL
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name.split(".")[0]:
            return Check(label, status, "not installed", remedy)
        return Check(
            label, status, f"needs {error.name}, which is not installed", remedy
        )
    except Exception as error:  # compiled parts fail in many ways: OSError, RuntimeError, AssertionError
        return Check(
            label,
            status,
            f"installed, but does not import: {_first_line(error)}",
            remedy,
        )


def _distributions(module: str) -> list[str]:
    """Names of the installed distributions that bring a module, e.g. `onedl-mmcv` for `mmcv`."""
    return sorted(set(importlib.metadata.packages_distributions().get(module, [])))


def _version(module: str) -> str:
    """`3.5.1 (onedl-mmdetection)`; the name where it differs from the module's."""
    names = _distributions(module)
    if not names:
        return str(getattr(sys.modules.get(module), "__version__", "version unknown"))
    shown = []
    for name in names:
        version = importlib.metadata.version(name)
        same_name = name == module.replace("_", "-")
        shown.append(version if same_name else f"{version} ({name})")
    return " and ".join(shown)


def _installed_twice(module: str) -> tuple[str, str] | None:
    """What is wrong and the remedy where two distributions overwrite each other's files."""
    names = _distributions(module)
    if len(names) < 2:
        return None
    both = " ".join(names)
    remedy = f"Keep one: pip uninstall {both}, then {INSTALL}"
    return (
        f"installed twice, as {' and as '.join(names)}, each over the other's files",
        remedy,
    )


def _first_line(error: BaseException) -> str:
    """What kind of error it is, and the first line of what it says."""
    kind = type(error).__name__
    lines = str(error).strip().splitlines()
    return f"{kind}: {lines[0]}" if lines else kind
