"""The device that a network runs on."""

from __future__ import annotations

import re

from cvtk.errors import ModelError


def pick_device(device: str) -> str:
    """The device to use: `auto` is NVIDIA's GPU where there is one.

    Args:
        device: "auto", "cpu", "cuda", "cuda:NUMBER", or "mps", Apple's GPU.

    Raises:
        ModelError: There is no such device.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if gpus else "cpu"
    if device == "cpu":
        return device
    if device == "mps":
        return _apple_gpu()
    named = re.fullmatch(r"cuda(?::(\d{1,3}))?", device, re.ASCII)
    if named is None or int(named[1] or 0) >= gpus:
        raise ModelError(
            f"There is no device {device!r} here.",
            "Use --device cpu or auto; `cvtk doctor` shows what PyTorch sees.",
        )
    return device


def _apple_gpu() -> str:
    """The name of Apple's GPU.

    Raises:
        ModelError: There is none, or this PyTorch cannot use it.
    """
    from torch.backends import mps

    if mps.is_available():
        return "mps"
    if mps.is_built():
        missing = "macOS 12.3 or newer and a GPU of Apple, which are not here"
    else:
        missing = (
            "a Mac and PyTorch's build for it; this PyTorch knows no GPUs of Apple"
        )
    raise ModelError(
        f"--device mps needs {missing}.",
        "Use --device cpu or auto; `cvtk doctor` shows what PyTorch sees.",
    )
