"""The device that a network runs on."""

from __future__ import annotations

import re

from cvtk.errors import ModelError


def pick_device(device: str) -> str:
    """The device to use: `auto` is the GPU where there is one.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:NUMBER".

    Raises:
        ModelError: There is no such device.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if gpus else "cpu"
    if device == "cpu":
        return device
    named = re.fullmatch(r"cuda(?::(\d{1,3}))?", device, re.ASCII)
    if named is None or int(named[1] or 0) >= gpus:
        raise ModelError(
            f"There is no device {device!r} here.",
            "Use --device cpu or auto; `cvtk doctor` shows what PyTorch sees.",
        )
    return device
