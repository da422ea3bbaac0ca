"""Outlines of masks that people can edit: few corners, and close to the edge of the mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvtk.data.contours import trace
from cvtk.data.masks import from_bitmap, iou, to_bitmap
from cvtk.data.types import Polygons

TOLERANCE = 1.0
"""How far in pixels an edge of a mask may lie from its simplified outline."""

LEAST_IOU = 0.99
"""The least IoU of a mask and its simplified outline; where it would be less, more corners are kept."""

_STEPS = (TOLERANCE, 0.75 * TOLERANCE, 0.5 * TOLERANCE)


def simplify(polygon: list[float], tolerance: float) -> list[float]:
    """A closed polygon with fewer corners (Douglas and Peucker, 1973).

    Args:
        polygon: [x1, y1, x2, y2, ...] in pixels.
        tolerance: How far at most, in pixels, a corner may lie from the new outline.

    Returns:
        Some of its corners; empty where fewer than three are left, as of a single pixel.
    """
    points = np.reshape(np.asarray(polygon, dtype=np.float64), (-1, 2))
    # The method is for open lines: cut the polygon at two corners that are far from each other.
    far = int(np.square(points - points[0]).sum(axis=1).argmax())
    there = simplified(points[: far + 1], tolerance)
    back = simplified(np.vstack([points[far:], points[:1]]), tolerance)
    kept = np.vstack([there[:-1], back[:-1]])
    return [float(v) for v in kept.ravel()] if len(kept) >= 3 else []


def simplified(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """An open line with fewer points: of those between two that stay, the farthest stays if it is too far.

    Args:
        points: (N, 2), at least two.
        tolerance: How far at most a point may lie from the new line.

    Returns:
        (M, 2), the ends among them.
    """
    stays = np.zeros(len(points), dtype=np.bool_)
    stays[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            stays[middle] = True
            parts += [(first, middle), (middle, last)]
    return points[stays]


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From points (N, 2) to the stretch between two others."""
    along = end - start
    length = float(along @ along)
    places = (
        ((points - start) @ along / length).clip(0, 1) if length else 0 * points[:, 0]
    )
    x, y = (points - start - places[:, None] * along).T
    distances: NDArray[np.float64] = np.hypot(x, y)
    return distances


def outline(mask: NDArray[np.bool_]) -> tuple[Polygons, Polygons]:
    """The outlines of a mask with as few corners as `TOLERANCE` and `LEAST_IOU` allow.

    Parts and holes of about a pixel may vanish.

    Args:
        mask: (height, width), not empty.

    Returns:
        (outer, holes), each a list of polygons [x1, y1, x2, y2, ...] in pixels of the mask.
    """
    height, width = mask.shape
    exact = trace(mask)
    whole = from_bitmap(mask)
    for tolerance in _STEPS:
        outer, holes = (
            [short for polygon in polygons if (short := simplify(polygon, tolerance))]
            for polygons in exact
        )
        if not outer:
            continue
        drawn = to_bitmap(outer, width, height)
        if holes:
            drawn[to_bitmap(holes, width, height) != 0] = 0
        if iou(from_bitmap(drawn), whole, width, height) >= LEAST_IOU:
            return outer, holes
    return exact


def moved(polygons: Polygons, x: float, y: float) -> Polygons:
    """Polygons moved to the right by `x` and down by `y` pixels."""
    shift = np.array([x, y], dtype=np.float64)
    return [
        (np.reshape(polygon, (-1, 2)) + shift).ravel().tolist() for polygon in polygons
    ]
