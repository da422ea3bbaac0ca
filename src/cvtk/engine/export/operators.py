"""Operators by those that every runtime has: deformable convolutions, CARAFE, group normalization and others.

For the first, what stands in files is PyTorch's `grid_sample`, which ONNX has since version 16 of its operators.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Pair: TypeAlias = int | tuple[int, int]


def deform_conv2d(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """`mmcv.ops.deform_conv2d`, which never has a bias; see `modulated_deform_conv2d`."""
    geometry = stride, padding, dilation, groups, deform_groups
    return modulated_deform_conv2d(features, offset, None, weight, None, *geometry)


def modulated_deform_conv2d(
    features: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """`mmcv.ops.modulated_deform_conv2d`: for each cell of the kernel, features from where its offset points.

    Args:
        features: (N, C, H, W).
        offset: (N, deform_groups * kh * kw * 2, h, w), y before x, in cells; or of a larger map.
        mask: (N, deform_groups * kh * kw, h, w), what each is multiplied by; None: 1.
        weight: (C_out, C / groups, kh, kw).
        bias: (C_out); None: 0.
        stride: Down and across.
        padding: Zeros above and below, left and right.
        dilation: Down and across.
        groups: Of channels that are convolved separately.
        deform_groups: Of channels that have offsets of their own.

    Returns:
        (N, C_out, h, w).
    """
    # What does not depend on the image must not be traced.
    outputs, inputs, down, across = (int(side) for side in weight.shape)
    channels, parted = inputs * int(groups), int(deform_groups)
    high, wide = features.shape[-2:]
    (step_y, step_x), (top, left) = _pair(stride), _pair(padding)
    (apart_y, apart_x), cells = _pair(dilation), down * across
    height = (high + 2 * top - apart_y * (down - 1) - 1) // step_y + 1
    width = (wide + 2 * left - apart_x * (across - 1) - 1) // step_x + 1
    offset = _first_numbers(offset, height, width)
    mask = None if mask is None else _first_numbers(mask, height, width)
    parts = features.reshape(-1, channels // parted, high, wide)
    offsets = offset.reshape(-1, cells, 2, height, width)
    shares = None if mask is None else mask.reshape(-1, cells, 1, height, width)
    kernels = weight.reshape(int(groups), -1, inputs, cells)
    rows = torch.arange(height, dtype=offset.dtype)[:, None] * step_y - top
    columns = torch.arange(width, dtype=offset.dtype) * step_x - left
    total: Any = 0
    for cell in range(cells):
        row, column = divmod(cell, across)
        y = rows + row * apart_y + offsets[:, cell, 0]
        x = columns + column * apart_x + offsets[:, cell, 1]
        # -1 and 1 are the outer edges of the features, which are 0 beyond.
        grid = torch.stack([(2 * x + 1) / wide - 1, (2 * y + 1) / high - 1], -1)
        values = F.grid_sample(parts, grid, align_corners=False)
        if shares is not None:
            values = values * shares[:, cell]
        values = values.reshape(-1, int(groups), inputs, height * width)
        total = total + kernels[..., cell] @ values
    summed: Tensor = total.reshape(-1, outputs, height, width)
    return summed if bias is None else summed + bias[:, None, None]


def _first_numbers(values: Tensor, height: Any, width: Any) -> Tensor:
    """What mmcv's kernels take of the offsets or masks (N, C, ...) of a larger map, as of DyHead: (N, C, h, w)."""
    if tuple(map(int, values.shape[-2:])) == (int(height), int(width)):
        return values
    channels = int(values.shape[1])
    numbers = values.flatten(1)[:, : channels * height * width]
    return numbers.reshape(-1, channels, height, width)


def carafe(
    features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale: int
) -> Tensor:
    """`mmcv.ops.carafe`: enlarged features, each a weighted sum of those around the cell that it came from.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * kernel_size ** 2, scale * H, scale * W), the weights.
        kernel_size: Cells that are summed, down and across.
        group_size: Groups of channels that have weights of their own.
        scale: How many times as large the result is.

    Returns:
        (N, C, scale * H, scale * W).
    """
    height, width = masks.shape[-2:]
    padded = F.pad(features, (kernel_size // 2,) * 4)
    enlarged = F.interpolate(padded, scale_factor=scale, mode="nearest")
    channels = features.shape[1] // group_size
    shares = masks.reshape(-1, group_size, kernel_size**2, height, width)
    total: Any = 0
    for cell in range(kernel_size**2):
        top, left = (scale * side for side in divmod(cell, kernel_size))
        window = enlarged[:, :, top : top + height, left : left + width]
        apart = window.reshape(-1, group_size, channels, height, width)
        total = total + apart * shares[:, :, cell, None]
    summed: Tensor = total.reshape(-1, features.shape[1], height, width)
    return summed


def kernel_normalizer(self: Any, mask: Tensor) -> Tensor:
    """`CARAFEPack.kernel_normalizer`: the weights (N, groups * cells, h, w) of `carafe`, each cell's with a sum of 1.

    The original leaves the number of cells to `view`, which cannot know it where N is 0.
    """
    shuffled = F.pixel_shuffle(mask, self.scale_factor)
    height, width = shuffled.shape[-2:]
    cells = self.up_kernel**2
    apart = shuffled.reshape(-1, self.up_group, cells, height, width).softmax(2)
    return apart.reshape(-1, self.up_group * cells, height, width)


def group_norm(
    features: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`group_norm`: features (N, C, ...) with a mean of 0 and a variance of 1 in each group of channels.

    ONNX's leaves the size of a group to be found out, which is not possible where N is 0.
    """
    channels, sides = int(features.shape[1]), features.shape[2:]
    size = channels // num_groups * math.prod(sides)
    groups = features.reshape(-1, num_groups, size)
    centred = groups - groups.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    values = (centred / (variance + eps).sqrt()).reshape(-1, channels, *sides)
    each = (channels, *[1] * len(sides))
    if weight is not None:
        values = values * weight.reshape(each)
    return values if bias is None else values + bias.reshape(each)


def adaptive_max_pool2d(
    features: Tensor, output_size: Any, return_indices: bool = False
) -> Tensor:
    """`adaptive_max_pool2d` to sizes that may be traced: the largest of each window of features (N, C, H, W)."""
    for axis, wanted in zip((-2, -1), output_size, strict=True):
        length = features.shape[axis]
        places = torch.arange(wanted)
        first = places * length // wanted
        last = ((places + 1) * length - 1) // wanted
        largest = features.index_select(axis, first)
        for step in range(1, int(length) // int(wanted) + 2):
            place = torch.minimum(first + step, last)
            largest = torch.maximum(largest, features.index_select(axis, place))
        features = largest
    return features


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
