"""Mixed precision: numbers of 16 bits where they suffice, on GPUs and on the CPUs that compute with them."""

from __future__ import annotations

from typing import Any

from cvtk.log import logger


def set_precision(cfg: dict[str, Any], device: str) -> None:
    """Lets a training compute in mixed precision, of the type that the device has; else says that it has none."""
    kind = short_floats(device)
    if kind:
        cfg["optim_wrapper"].update(type="AmpOptimWrapper", dtype=kind)
    else:
        logger.info(f"No mixed precision: this {device} does not have it.")


def short_floats(device: str) -> str:
    """The numbers of 16 bits that a device computes with, as PyTorch calls them; empty where there are none."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "cpu" and cpu_has_bfloat16():
        return "bfloat16"
    return ""


def cpu_has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; imitated, as PyTorch does it elsewhere, it is slower.

    Where PyTorch is too old to tell, the answer is no.
    """
    import torch

    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = [getattr(torch.cpu, name) for name in questions if hasattr(torch.cpu, name)]
    return any(ask() for ask in known)
