"""Polygons by the hundred thousand: extents, areas and crossings of many at once, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Above this many points a polygon is not searched for crossings: the search looks at all pairs of edges.
MOST_POINTS = 2000


@dataclass(frozen=True)
class PolygonFacts:
    """What is known of N polygons, by index.

    Attributes:
        box: (N, 4) left, top, right, bottom in pixels.
        area: (N,) square pixels by the shoelace formula, positive.
        crossing: (N,) whether the outline crosses itself.
    """

    box: NDArray[np.float64]
    area: NDArray[np.float64]
    crossing: NDArray[np.bool_]


def measure(polygons: Sequence[Sequence[float]]) -> PolygonFacts:
    """Measures polygons [x1, y1, x2, y2, ...] of three points or more each, all numbers finite."""
    count = len(polygons)
    if not count:
        return PolygonFacts(np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool))
    lengths = np.fromiter((len(p) // 2 for p in polygons), np.int64, count)
    flat = np.fromiter(
        (v for p in polygons for v in p), np.float64, int(lengths.sum()) * 2
    ).reshape(-1, 2)
    return measure_flat(flat, lengths)


def measure_flat(
    points: NDArray[np.float64],
    lengths: NDArray[np.int64],
    *,
    crossings: bool = True,
) -> PolygonFacts:
    """As `measure`, for the points of all polygons in a row.

    Args:
        points: (P, 2) x, y in pixels.
        lengths: (N,) how many of the points each polygon has, in order.
        crossings: Whether to look for crossings; else `crossing` is False throughout.
    """
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    # Relative to each polygon's corner: the difference of large products would lose digits.
    local = points - np.repeat(low, lengths, axis=0)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    after = local[following]
    area = (
        np.abs(
            np.add.reduceat(
                local[:, 0] * after[:, 1] - after[:, 0] * local[:, 1], starts
            )
        )
        / 2
    )
    crossing = np.zeros(len(lengths), bool)
    for n in np.unique(lengths):
        if crossings and 4 <= n <= MOST_POINTS:
            which = np.flatnonzero(lengths == n)
            step = max(1, 300_000 // int(n) ** 2)
            for i in range(0, len(which), step):
                part = which[i : i + step]
                crossing[part] = _cross(local[starts[part, None] + np.arange(n)])
    return PolygonFacts(np.concatenate((low, high), axis=1), area, crossing)


def _cross(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether outlines (B, n, 2) cross themselves; touching is not crossing."""
    edge = np.roll(p, -1, axis=1) - p
    # side[b, i, j]: on which side of edge i point j lies, times the edge's length.
    offset = edge[:, :, 0] * p[:, :, 1] - edge[:, :, 1] * p[:, :, 0]
    side = (
        edge[:, :, 0, None] * p[:, None, :, 1]
        - edge[:, :, 1, None] * p[:, None, :, 0]
        - offset[:, :, None]
    )
    small = 1e-9 * (1 + np.abs(p).max(axis=(1, 2)) ** 2)[:, None, None]
    left, right = side > small, side < -small
    straddles = (left & np.roll(right, -1, axis=2)) | (
        right & np.roll(left, -1, axis=2)
    )
    both: NDArray[np.bool_] = (straddles & straddles.transpose(0, 2, 1)).any(
        axis=(1, 2)
    )
    return both
