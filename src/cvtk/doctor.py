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
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    return Check(
        "platform", "ok", f"{platform.platform()}, {platform.machine()}, {cores} cores"
    )


def check_cvtk() -> Check:
    """This package's version and where it is installed."""
    return Check("cvtk", "ok", f"{__version__}, {Path(__file__).parent}")


def check_torch() -> Check:
    """PyTorch, with a small product on every device that it offers."""
    torch = _import("torch")
    if isinstance(torch, Check):
        return torch
    devices, broken = [f"cpu ({torch.get_num_threads()} threads)"], []
    names = (
        [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    names += ["mps"] if torch.backends.mps.is_available() else []
    for name in ["cpu", *names]:
        try:
            ones = torch.ones(8, 8, device=name)
            if float((ones @ ones).sum()) != 512.0:
                raise RuntimeError("gives wrong sums")
        except Exception as error:
            broken.append(f"{name}: {_first_line(error)}")
            continue
        if name.startswith("cuda"):
            card = torch.cuda.get_device_properties(name)
            devices.append(f"{name} ({card.name}, {card.total_memory / 2**30:.0f} GB)")
        elif name == "mps":
            devices.append(name)
    detail = f"{torch.__version__}, devices: {', '.join(devices)}"
    if broken:
        remedy = "Install the PyTorch that fits your GPU's driver: https://pytorch.org/get-started/locally"
        return Check(
            "torch", "fail", f"{detail}; not working: {'; '.join(broken)}", remedy
        )
    if torch.version.cuda and not names:
        remedy = "If this machine has an NVIDIA GPU: see whether nvidia-smi works, and update its driver."
        return Check(
            "torch",
            "note",
            f"{detail} (built for CUDA {torch.version.cuda}, no GPU found)",
            remedy,
        )
    return Check("torch", "ok", detail)


def check_torchvision() -> Check:
    """Torchvision, and that its compiled operators belong to this PyTorch."""
    torchvision = _import("torchvision")
    if isinstance(torchvision, Check):
        return torchvision
    import torch

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    try:
        kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    except Exception as error:
        remedy = "Install the pair that belongs together: pip install --upgrade torch torchvision"
        return Check(
            "torchvision",
            "fail",
            f"{torchvision.__version__}, nms: {_first_line(error)}",
            remedy,
        )
    works = kept == [0, 2]
    detail = f"{torchvision.__version__}, nms {'works' if works else 'keeps the wrong boxes'}"
    return Check("torchvision", "ok" if works else "fail", detail)


def check_mmengine() -> Check:
    """MMEngine."""
    module = _import("mmengine")
    return (
        module
        if isinstance(module, Check)
        else Check("mmengine", "ok", _version("mmengine"))
    )


def check_mmcv() -> Check:
    """MMCV, and which operators stand behind `mmcv.ops`: compiled ones, or those of cvtk."""
    module = _import("mmcv")
    if isinstance(module, Check):
        return module
    version = _version("mmcv")
    twice = _installed_twice("mmcv")
    spec = importlib.util.find_spec("mmcv._ext")
    if spec is None:
        # Without the compiled extension and without cvtk's start-up hook.
        remedy = "Reinstall cvtk, which brings the operators: pip install --force-reinstall --no-deps cvtk"
        return Check(
            "mmcv", "fail", f"{version}, without operators (no mmcv._ext)", remedy
        )
    compiled = (spec.origin or "").endswith(
        tuple(importlib.machinery.EXTENSION_SUFFIXES)
    )
    kind = (
        "compiled operators"
        if compiled
        else "operators of cvtk (PyTorch and torchvision)"
    )
    import torch

    try:
        from mmcv.ops import nms

        boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
        _, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
        if kept.tolist() != [0, 2]:
            raise RuntimeError("nms keeps the wrong boxes")
    except Exception as error:
        remedy = (
            "Its operators were compiled for another PyTorch; remove it and install the one without:"
            f" pip uninstall mmcv onedl-mmcv, then {INSTALL}"
            if compiled
            else f"Reinstall: {INSTALL}"
        )
        return Check(
            "mmcv",
            "fail",
            f"{version}, {kind} do not work: {_first_line(error)}",
            remedy,
        )
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

    entries = catalogue()
    count = {task: sum(e.task == task for e in entries) for task in ("segm", "det")}
    detail = f"{_version('mmdet')}, {count['segm']} instance segmentation and {count['det']} detection models"
    twice = _installed_twice("mmdet")
    if twice:
        return Check("mmdet", "note", f"{detail}; {twice[0]}", twice[1])
    return Check("mmdet", "ok", detail)


def check_mim() -> Check:
    """OpenMIM, an installer for MMDetection's relatives."""
    module = _import("mim", needed=False, remedy="pip install onedl-mim")
    return module if isinstance(module, Check) else Check("mim", "ok", _version("mim"))


def check_pycocotools() -> Check:
    """Pycocotools, with one mask there and back."""
    module = _import(
        "pycocotools.mask", remedy="pip install --force-reinstall pycocotools"
    )
    if isinstance(module, Check):
        return module
    import numpy as np

    mask = np.asfortranarray(np.eye(5, 7, dtype=np.uint8))
    code = module.encode(mask)
    works = np.array_equal(module.decode(code), mask) and int(module.area(code)) == 5
    detail = (
        f"{_version('pycocotools')}, masks {'work' if works else 'come back changed'}"
    )
    return Check("pycocotools", "ok" if works else "fail", detail)


def check_faster_coco_eval() -> Check:
    """faster-coco-eval, which the evaluation uses where it is."""
    module = _import(
        "faster_coco_eval", needed=False, remedy="pip install faster-coco-eval"
    )
    if isinstance(module, Check):
        return module
    return Check("faster-coco-eval", "ok", _version("faster_coco_eval"))


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
    "faster-coco-eval": check_faster_coco_eval,
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
    plain = module.replace("_", "-")
    shown = [
        f"{importlib.metadata.version(n)}{'' if n == plain else f' ({n})'}"
        for n in names
    ]
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
    text = str(error).strip()
    return (
        f"{type(error).__name__}: {text.splitlines()[0]}"
        if text
        else type(error).__name__
    )
