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
    from skimage.measure import approximate_polygon

    points = np.reshape(np.asarray(polygon, dtype=np.float64), (-1, 2))
    # The method is for open lines: cut the polygon at two corners that are far from each other.
    far = int(np.square(points - points[0]).sum(axis=1).argmax())
    there = approximate_polygon(points[: far + 1], tolerance)
    back = approximate_polygon(np.vstack([points[far:], points[:1]]), tolerance)
    kept = np.vstack([there[:-1], back[:-1]])
    return [float(v) for v in kept.ravel()] if len(kept) >= 3 else []


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
