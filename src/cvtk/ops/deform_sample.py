"""Deformable convolution on the CPU: bilinear samples by PyTorch's `grid_sample`, then a matrix product.

Several times faster there than torchvision's kernels, which handle one sample at a time (see
`benchmarks/operators.py`). One image at a time, so that the samples of a batch need not fit in memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor,
    geometry: tuple[int, ...],
) -> Tensor:
    """Deformable convolution.

    Args:
        input: (N, C, H, W).
        weight: (C_out, C / groups, kH, kW).
        offset: (N, D * kH * kW * 2, H_out, W_out) for D groups with offsets of their own, y before x, in cells.
        mask: (N, D * kH * kW, H_out, W_out), factors of the samples, or None.
        bias: (C_out,).
        geometry: Stride, padding and dilation, each along y and x; groups; D.

    Returns:
        (N, C_out, H_out, W_out).
    """
    matrix = _matrix(weight, geometry)
    output = input.new_empty(len(input), len(weight), *offset.shape[2:])
    for i in range(len(input)):
        columns = _columns(
            input[i],
            offset[i],
            None if mask is None else mask[i],
            weight.shape[2:],
            geometry,
        )
        output[i] = (matrix @ columns).view(output[i].shape) + bias[:, None, None]
    return output


def backward(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients by input, weight, offset, mask and bias.

    Args:
        grad: (N, C_out, H_out, W_out), gradient of the output.
        input: As in `forward`.
        weight: As in `forward`.
        offset: As in `forward`.
        mask: As in `forward`.
        geometry: As in `forward`.

    Returns:
        Gradients in the shapes of the five; None for a mask of None.
    """
    matrix = _matrix(weight, geometry)
    grad_matrix = torch.zeros_like(matrix)
    sources = [input, offset] if mask is None else [input, offset, mask]
    grads = [torch.empty_like(source) for source in sources]
    for i in range(len(input)):
        with torch.enable_grad():
            leaves = [source[i].detach().requires_grad_() for source in sources]
            columns = _columns(
                leaves[0],
                leaves[1],
                None if mask is None else leaves[2],
                weight.shape[2:],
                geometry,
            )
        grad_output = grad[i].reshape(matrix.size(0), matrix.size(1), -1)
        grad_matrix += grad_output @ columns.detach().mT
        for target, part in zip(
            grads,
            torch.autograd.grad(columns, leaves, matrix.mT @ grad_output),
            strict=True,
        ):
            target[i] = part
    return (
        grads[0],
        grad_matrix.view(weight.shape),
        grads[1],
        None if mask is None else grads[2],
        grad.sum(dim=(0, 2, 3)),
    )


def _matrix(weight: Tensor, geometry: tuple[int, ...]) -> Tensor:
    """(C_out, C / G, kH, kW) -> (G, C_out / G, C / G * kH * kW)."""
    groups = geometry[6]
    return weight.detach().reshape(groups, len(weight) // groups, -1)


def _columns(
    image: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    kernel: torch.Size,
    geometry: tuple[int, ...],
) -> Tensor:
    """The samples under the kernel at each position of the output: (G, C / G * kH * kW, H_out * W_out)."""
    stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, offset_groups = (
        geometry
    )
    channels, height, width = image.shape
    rows, columns = offset.shape[1:]
    k_y, k_x = kernel
    taps = k_y * k_x

    def positions(count: int, stride: int, pad: int) -> Tensor:
        return (
            torch.arange(count, device=image.device, dtype=image.dtype) * stride - pad
        )

    by_group = offset.view(offset_groups, k_y, k_x, 2, rows, columns)
    y = by_group[:, :, :, 0] + positions(rows, stride_y, pad_y)[:, None]
    y = y + positions(k_y, dilation_y, 0)[:, None, None, None]
    x = by_group[:, :, :, 1] + positions(columns, stride_x, pad_x)
    x = x + positions(k_x, dilation_x, 0)[:, None, None]
    # grid_sample counts from -1 to 1 between the outer borders of the first and the last cell.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    samples = F.grid_sample(
        image.view(offset_groups, channels // offset_groups, height, width),
        grid.view(offset_groups, taps * rows, columns, 2),
        padding_mode="zeros",
        align_corners=False,
    ).view(offset_groups, -1, taps, rows, columns)
    if mask is not None:
        samples = samples * mask.view(offset_groups, 1, taps, rows, columns)
    return samples.view(groups, channels // groups * taps, rows * columns)
