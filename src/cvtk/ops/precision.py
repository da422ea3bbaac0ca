"""In which precision a kernel computes."""

from __future__ import annotations

import torch
from torch import Tensor


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The type in which to compute with these tensors.

    torchvision's kernels want one type for all their arguments, do not take bfloat16, and on the CPU take
    float16 slowly or not at all.

    Args:
        tensors: Arguments of one kernel, on one device.

    Returns:
        The type to which they promote; float32 instead of bfloat16 and integers, and of float16 on the CPU.
    """
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    if dtype == torch.float64 or (
        dtype == torch.float16 and tensors[0].device.type != "cpu"
    ):
        return dtype
    return torch.float32
