"""Pooling of regions of interest: RoIAlign (average and maximum) and RoIPool.

A region is a row: batch index, x1, y1, x2, y2. The coordinates are in pixels of the image; times
`spatial_scale` they are in cells of the feature map.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from cvtk.ops.precision import compute_dtype
from cvtk.ops.roi_average import Pooling, average_backward, average_forward

_MAX = 0
# Samples of maximum pooling held at a time: 64 MiB in float32.
_CHUNK = 1 << 24


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign (He et al. 2017, https://arxiv.org/abs/1703.06870): pools bilinear samples of each bin.

    Args:
        input: (N, C, H, W) features.
        rois: (K, 5).
        output: (K, C, aligned_height, aligned_width), receives the result; 0 for bins without a sample.
        argmax_y: Shape of `output` for maximum pooling, receives the row of the largest sample in cells, -1
            without a sample; empty for average pooling.
        argmax_x: The same for the column.
        aligned_height: Bins in a column.
        aligned_width: Bins in a row.
        spatial_scale: Cells per pixel.
        sampling_ratio: Samples along each side of a bin; 0 or less for one per cell (rounded up).
        pool_mode: 0 maximum, 1 average.
        aligned: Shift by half a cell, so that cell i is centred at i + 0.5; without, regions are at least
            one cell wide.
    """
    dtype = compute_dtype(input, rois)
    features, boxes = input.to(dtype), rois.to(dtype)
    bins = (aligned_height, aligned_width)
    if pool_mode != _MAX and input.device.type == "cpu":
        pooling = Pooling(bins, spatial_scale, sampling_ratio, aligned)
        output.copy_(average_forward(features, boxes, pooling))
        return
    if pool_mode != _MAX:
        output.copy_(
            torch.ops.torchvision.roi_align(
                features, boxes, spatial_scale, *bins, max(sampling_ratio, 0), aligned
            )
        )
        return
    _roi_align_max(
        features,
        boxes,
        (output, argmax_y, argmax_x),
        spatial_scale,
        sampling_ratio,
        aligned,
    )


def _roi_align_max(
    features: Tensor,
    boxes: Tensor,
    targets: tuple[Tensor, Tensor, Tensor],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    """RoIAlign with maximum pooling; `targets` receive the maxima, and their rows and columns in cells."""
    output, argmax_y, argmax_x = targets
    bins = (output.size(2), output.size(3))
    start, size = _region(boxes, spatial_scale, aligned)
    for rows, (grid_h, grid_w) in _by_grid(
        size, bins, sampling_ratio, features.size(1)
    ):
        if grid_h < 1 or grid_w < 1:
            output[rows], argmax_y[rows], argmax_x[rows] = 0, -1, -1
            continue
        # One bin for each sample of the wanted bins: torchvision samples it at its centre.
        fine = (bins[0] * grid_h, bins[1] * grid_w)
        samples = torch.ops.torchvision.roi_align(
            features, boxes[rows], spatial_scale, *fine, 1, aligned
        )
        best, index = F.max_pool2d(samples, (grid_h, grid_w), return_indices=True)
        step = (size[rows] / size.new_tensor(fine))[:, :, None, None, None]
        corner = start[rows][:, :, None, None, None]
        y = corner[:, 0] + (index // fine[1] + 0.5) * step[:, 0]
        x = corner[:, 1] + (index % fine[1] + 0.5) * step[:, 1]
        for target, values in zip(targets, (best, y, x), strict=True):
            target[rows] = values.to(target.dtype)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of RoIAlign by the features.

    Args:
        grad_output: (K, C, aligned_height, aligned_width).
        rois: (K, 5).
        argmax_y: From the forward pass.
        argmax_x: From the forward pass.
        grad_input: (N, C, H, W) zeros, receives the gradient.
        aligned_height: As in the forward pass.
        aligned_width: As in the forward pass.
        spatial_scale: As in the forward pass.
        sampling_ratio: As in the forward pass.
        pool_mode: As in the forward pass.
        aligned: As in the forward pass.
    """
    if pool_mode == _MAX:
        _scatter_bilinear(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    dtype = compute_dtype(grad_output, rois)
    grad, boxes = grad_output.to(dtype), rois.to(dtype)
    if grad.device.type == "cpu":
        bins = (aligned_height, aligned_width)
        pooling = Pooling(bins, spatial_scale, sampling_ratio, aligned)
        grad_input.copy_(average_backward(grad, boxes, grad_input.shape, pooling))
        return
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad,
            boxes,
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            max(sampling_ratio, 0),
            aligned,
        )
    )


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """RoIPool (Girshick 2015, https://arxiv.org/abs/1504.08083): the largest cell of each bin.

    mmcv's bins run from x1 * scale to (x2 + 1) * scale without rounding first, torchvision's are rounded;
    so every bin goes to torchvision as a region of its own.

    Args:
        input: (N, C, H, W) features.
        rois: (K, 5), x2 and y2 being the last pixel inside.
        output: (K, C, pooled_height, pooled_width), receives the maxima; 0 for bins outside the features.
        argmax: int, shape of `output`, receives row * W + column of the maximum, or -1.
        pooled_height: Bins in a column.
        pooled_width: Bins in a row.
        spatial_scale: Cells per pixel.
    """
    channels, height, width = input.shape[1:]
    dtype = compute_dtype(input, rois)
    boxes = rois.to(dtype)
    start = boxes[:, 1:3] * spatial_scale
    size = (boxes[:, 3:5] + 1) * spatial_scale - start
    x1, x2 = _bin_edges(start[:, 0], size[:, 0], pooled_width, width)
    y1, y2 = _bin_edges(start[:, 1], size[:, 1], pooled_height, height)
    shape = (len(rois), pooled_height, pooled_width)
    cells = torch.stack(
        [
            boxes[:, 0, None, None].expand(shape),
            x1[:, None, :].expand(shape),
            y1[:, :, None].expand(shape),
            x2[:, None, :].expand(shape) - 1,
            y2[:, :, None].expand(shape) - 1,
        ],
        dim=-1,
    )
    best, index = torch.ops.torchvision.roi_pool(
        input.to(dtype), cells.reshape(-1, 5), 1.0, 1, 1
    )
    best = best.view(*shape, channels).permute(0, 3, 1, 2)
    index = index.view(*shape, channels).permute(0, 3, 1, 2)
    filled = (
        (size > 0).all(1)[:, None, None] & (x2 > x1)[:, None, :] & (y2 > y1)[:, :, None]
    )
    output.copy_(best.where(filled[:, None], 0))
    argmax.copy_(index.where(filled[:, None], -1))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradient of RoIPool by the features: each bin's goes to its largest cell.

    Args:
        grad_output: (K, C, pooled_height, pooled_width).
        rois: (K, 5).
        argmax: From the forward pass.
        grad_input: (N, C, H, W) zeros, receives the gradient.
        pooled_height: As in the forward pass.
        pooled_width: As in the forward pass.
        spatial_scale: As in the forward pass.
    """
    plane = _plane_start(rois, grad_input)
    index = plane + argmax.clamp(min=0)
    grad = grad_output.where(argmax >= 0, 0)
    grad_input.view(-1).index_add_(
        0, index.flatten(), grad.flatten().to(grad_input.dtype)
    )


def _region(boxes: Tensor, scale: float, aligned: bool) -> tuple[Tensor, Tensor]:
    """(K, 5) -> start and size of the regions, (K, 2) each as y, x, in cells."""
    scaled = boxes[:, [2, 1, 4, 3]] * scale - (0.5 if aligned else 0.0)
    start, size = scaled[:, :2], scaled[:, 2:] - scaled[:, :2]
    return start, size if aligned else size.clamp(min=1)


def _by_grid(
    size: Tensor, bins: tuple[int, int], ratio: int, channels: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Groups regions with the same number of samples per bin, into parts that fit in memory."""
    if ratio > 0:
        grids = torch.full_like(size, ratio, dtype=torch.long)
    else:
        grids = (size / size.new_tensor(bins)).ceil().clamp(min=0).long()
    kinds, kind = torch.unique(grids, dim=0, return_inverse=True)
    for i, (grid_h, grid_w) in enumerate(kinds.tolist()):
        samples = channels * bins[0] * grid_h * bins[1] * grid_w
        for rows in (
            (kind == i).nonzero()[:, 0].split(max(_CHUNK // max(samples, 1), 1))
        ):
            yield rows, (grid_h, grid_w)


def _bin_edges(
    start: Tensor, size: Tensor, bins: int, limit: int
) -> tuple[Tensor, Tensor]:
    """(K,), (K,) -> (K, bins) first cell and end of each bin, inside [0, limit]."""
    edge = (
        torch.arange(bins + 1, device=start.device, dtype=start.dtype)
        * (size / bins)[:, None]
    )
    edge = edge + start[:, None]
    return edge[:, :-1].floor().clamp(0, limit), edge[:, 1:].ceil().clamp(0, limit)


def _plane_start(rois: Tensor, features: Tensor) -> Tensor:
    """Index of the first cell of each region's channels in the flat features: (K, C, 1, 1) int64."""
    channels, height, width = features.shape[1:]
    channel = torch.arange(channels, device=rois.device)
    plane = rois[:, :1].long() * channels + channel
    return (plane * (height * width))[:, :, None, None]


def _scatter_bilinear(
    grad: Tensor, rois: Tensor, y: Tensor, x: Tensor, grad_input: Tensor
) -> None:
    """Adds each gradient to the four cells around its sample, as the bilinear weights say."""
    height, width = grad_input.shape[2:]
    # Samples up to one cell outside count as on the border, others as 0.
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    # A bin without sample is marked by a row of exactly -1 (as in mmcv).
    inside &= y != -1
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    y_low, x_low = y.floor(), x.floor()
    plane = _plane_start(rois, grad_input)
    flat = grad_input.view(-1)
    for low_y in (True, False):
        row = y_low if low_y else (y_low + 1).clamp(max=height - 1)
        weight_y = 1 - (y - y_low) if low_y else y - y_low
        for low_x in (True, False):
            column = x_low if low_x else (x_low + 1).clamp(max=width - 1)
            weight_x = 1 - (x - x_low) if low_x else x - x_low
            index = plane + (row * width + column).long()
            part = (grad * weight_y * weight_x).where(inside, 0)
            flat.index_add_(0, index.flatten(), part.flatten().to(flat.dtype))
