"""Which kernel computes a deformable convolution: torchvision's on a GPU, `deform_sample` on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from cvtk.ops import deform_sample
from cvtk.ops.precision import compute_dtype


def sampled(tensor: Tensor) -> bool:
    """Whether to compute with `cvtk.ops.deform_sample` instead of torchvision's kernels."""
    return bool(tensor.device.type == "cpu")


def _arguments(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
) -> list[Tensor]:
    """Input, weight, offset, mask and bias as torchvision wants them: of one type, none missing."""
    dtype = compute_dtype(
        *[t for t in (input, weight, offset, mask, bias) if t is not None]
    )
    mask = input.new_zeros(len(input), 1) if mask is None else mask
    bias = input.new_zeros(len(weight)) if bias is None else bias
    return [t.to(dtype).contiguous() for t in (input, weight, offset, mask, bias)]


def forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> Tensor:
    """Deformable convolution, modulated if there is a mask.

    Args:
        input: (N, C, H, W).
        weight: (C_out, C / groups, kH, kW).
        offset: (N, D * kH * kW * 2, H_out, W_out) for D groups with offsets of their
            own, y before x, in cells.
        mask: (N, D * kH * kW, H_out, W_out), factors of the samples, or None for 1.
        bias: (C_out,), or None for 0.
        geometry: Stride, padding and dilation, each along y and x; groups; D.

    Returns:
        (N, C_out, H_out, W_out), of the type in which it was computed.
    """
    tensors = _arguments(input, weight, offset, mask, bias)
    if sampled(input):
        x, w, o, m, b = tensors
        return deform_sample.forward(x, w, o, None if mask is None else m, b, geometry)
    return torch.ops.torchvision.deform_conv2d(*tensors, *geometry, mask is not None)


def backward(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, ...]:
    """Gradients by input, weight, offset, mask and bias.

    Args:
        grad: (N, C_out, H_out, W_out), gradient of the output.
        input: As in `forward`.
        weight: As in `forward`.
        offset: As in `forward`.
        mask: As in `forward`.
        bias: As in `forward`.
        geometry: As in `forward`.

    Returns:
        Gradients in the shapes of the five; those of a missing mask and bias mean nothing.
    """
    tensors = _arguments(input, weight, offset, mask, bias)
    grad = grad.to(tensors[0].dtype).contiguous()
    if sampled(input):
        x, w, o, m, _ = tensors
        return deform_sample.backward(
            grad, x, w, o, None if mask is None else m, geometry
        )
    grads: tuple[Tensor, ...] = torch.ops.torchvision._deform_conv2d_backward(
        grad, *tensors, *geometry, mask is not None
    )
    return grads
