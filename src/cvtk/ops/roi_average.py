"""RoIAlign with average pooling on a CPU, as the product of a sparse matrix and the features.

Each value of the result is a weighted sum of cells of the feature map, and the weights depend on the regions alone.
torchvision goes through the samples for each channel anew, one number at a time, and its backward pass in one thread.
Here the weights are computed once, for each axis by itself (bilinear weights are products of the two), and a cell's
channels, which lie side by side, are added together. Only the order of the sums differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Weights held at a time: 100 MB with the indices that they are made from.
_CHUNK = 1 << 21


@dataclass(frozen=True)
class Pooling:
    """How regions are pooled; see `cvtk.ops.roi.roi_align_forward`.

    Attributes:
        bins: In a column, in a row.
        scale: Cells per pixel.
        ratio: Samples along each side of a bin; 0 or less for one per cell.
        aligned: Shift by half a cell.
    """

    bins: tuple[int, int]
    scale: float
    ratio: int
    aligned: bool


@dataclass(frozen=True)
class _Weights:
    """The non-zero part of a matrix (rows of the result, cells of the feature map), row by row.

    Attributes:
        regions: Whose rows these are.
        starts: (R + 1,) where each row begins among the values, and where the last ends.
        cells: (N,) index of the cell of each value.
        values: (N,).
    """

    regions: slice
    starts: Tensor
    cells: Tensor
    values: Tensor


def average_forward(features: Tensor, rois: Tensor, pooling: Pooling) -> Tensor:
    """Pools regions.

    Args:
        features: (N, C, H, W), float32 or float64 on the CPU.
        rois: (K, 5), of the same type: batch index, x1, y1, x2, y2 in pixels.
        pooling: How.

    Returns:
        (K, C, rows, columns), with the channels innermost.
    """
    channels = features.size(1)
    cells = features.permute(0, 2, 3, 1).reshape(-1, channels)
    shape = (len(rois), *pooling.bins, channels)
    output = features.new_zeros(shape)
    for weights in _weights(rois, pooling, features.shape):
        pooled = _weighted_sums(cells, weights.cells, weights.starts, weights.values)
        output[weights.regions] = pooled.view(-1, *shape[1:])
    return output.permute(0, 3, 1, 2)


def average_backward(
    grad: Tensor, rois: Tensor, shape: torch.Size, pooling: Pooling
) -> Tensor:
    """The gradient by the features: the product with the transposed matrix.

    Args:
        grad: (K, C, rows, columns), float32 or float64 on the CPU.
        rois: (K, 5).
        shape: Of the features, (N, C, H, W).
        pooling: How.

    Returns:
        (N, C, H, W), with the channels innermost.
    """
    batch, channels, height, width = shape
    found = grad.new_zeros(batch * height * width, channels)
    for weights in _weights(rois, pooling, shape):
        rows = grad[weights.regions].permute(0, 2, 3, 1).reshape(-1, channels)
        lengths = weights.starts.diff()
        row = torch.repeat_interleave(lengths, output_size=len(weights.cells))
        cells, order = weights.cells.sort(stable=True)
        starts = torch.searchsorted(cells, torch.arange(len(found) + 1))
        found += _weighted_sums(rows, row[order], starts, weights.values[order])
    return found.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _weighted_sums(table: Tensor, index: Tensor, starts: Tensor, by: Tensor) -> Tensor:
    """(M, C), (N,), (R + 1,), (N,) -> (R, C): for each part of the index the sum of those rows, times `by`."""
    return F.embedding_bag(
        index,
        table,
        starts,
        mode="sum",
        per_sample_weights=by,
        include_last_offset=True,
    )


def _weights(rois: Tensor, pooling: Pooling, shape: torch.Size) -> Iterator[_Weights]:
    """The weights of all regions, in parts that fit in memory."""
    height, width = shape[2:]
    boxes = rois[:, 1:] * pooling.scale - (0.5 if pooling.aligned else 0.0)
    start, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    if not pooling.aligned:
        size = size.clamp(min=1)
    rows, columns = pooling.bins
    across = _Axis.of(start[:, 0], size[:, 0], columns, pooling.ratio, width)
    down = _Axis.of(start[:, 1], size[:, 1], rows, pooling.ratio, height)
    first_row = rois[:, 0].long() * height
    ends = (down.counts.sum(1) * across.counts.sum(1)).cumsum(0)
    part = ends.div(_CHUNK, rounding_mode="floor")
    begin = 0
    for count in part.unique_consecutive(return_counts=True)[1].tolist():
        regions = slice(begin, begin + count)
        yield _product(
            regions, down.part(regions), across.part(regions), first_row[regions], width
        )
        begin += count


@dataclass(frozen=True)
class _Axis:
    """The weights of one axis of K regions.

    Attributes:
        weights: (K, bins, cells along the axis).
        firsts: (K, bins) the first cell of each bin whose weight is not 0.
        counts: (K, bins) how many cells it has from there on.
    """

    weights: Tensor
    firsts: Tensor
    counts: Tensor

    @staticmethod
    def of(start: Tensor, size: Tensor, bins: int, ratio: int, cells: int) -> _Axis:
        """Samples each bin.

        Args:
            start: (K,) where regions begin, in cells.
            size: (K,) in cells.
            bins: Of each region.
            ratio: Samples per bin; 0 or less for one per cell.
            cells: Along the axis.
        """
        step = size / bins
        samples = step.ceil().clamp(min=0).long()
        if ratio > 0:
            samples = torch.full_like(samples, ratio)
        most = int(samples.max()) if len(samples) else 0
        samples = samples[:, None, None]
        number = torch.arange(most)
        step, corner = step[:, None, None], start[:, None, None]
        inside = (number + 0.5) * step / samples.clamp(min=1)
        place = corner + torch.arange(bins)[:, None] * step + inside
        # A sample up to one cell outside counts as on the border, others as 0.
        counts = (number < samples) & (place >= -1) & (place <= cells)
        place = place.clamp(0, cells - 1)
        low = place.long()
        high_share = (place - low) * counts / samples.clamp(min=1)
        low_share = counts / samples.clamp(min=1) - high_share
        weights = start.new_zeros(len(start), bins, cells)
        weights.scatter_add_(2, low, low_share)
        weights.scatter_add_(2, (low + 1).clamp(max=cells - 1), high_share)
        used = weights != 0
        firsts = used.byte().argmax(2)
        ends = cells - used.flip(2).byte().argmax(2)
        return _Axis(weights, firsts, torch.where(used.any(2), ends - firsts, 0))

    def part(self, regions: slice) -> _Axis:
        """The weights of some regions."""
        return _Axis(self.weights[regions], self.firsts[regions], self.counts[regions])


def _product(
    regions: slice, down: _Axis, across: _Axis, first_row: Tensor, width: int
) -> _Weights:
    """The weights of both axes multiplied.

    Args:
        regions: Whose they are.
        down: By rows.
        across: By columns.
        first_row: (K,) of each region's image among the rows of all images.
        width: Cells in a row.
    """
    _, rows, height = down.weights.shape
    columns = across.weights.size(1)
    # First a line for each row of cells of each bin (a region has rows x columns of them) ...
    lines = down.counts[:, :, None].expand(-1, -1, columns).reshape(-1)
    bin_ = torch.repeat_interleave(lines)
    row = torch.arange(len(bin_)) - (lines.cumsum(0) - lines)[bin_]
    row_bin = bin_.div(columns, rounding_mode="floor")
    region = row_bin.div(rows, rounding_mode="floor")
    row += down.firsts.view(-1)[row_bin]
    row_weight = down.weights.view(-1)[row_bin * height + row]
    column_bin = region * columns + bin_ % columns
    # ... then a value for each cell of each line.
    lengths = across.counts.view(-1)[column_bin]
    first = across.firsts.view(-1)[column_bin]
    line = torch.repeat_interleave(lengths)
    place = torch.arange(len(line)) - (lengths.cumsum(0) - lengths)[line]
    cells = place + ((first_row[region] + row) * width + first)[line]
    values = across.weights.view(-1)[place + (column_bin * width + first)[line]]
    values *= row_weight[line]
    counts = (down.counts[:, :, None] * across.counts[:, None, :]).view(-1)
    starts = F.pad(counts.cumsum(0), (1, 0))
    return _Weights(regions, starts, cells, values)
