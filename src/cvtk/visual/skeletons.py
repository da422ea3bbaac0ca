"""Skeletons drawn on photographs: limbs as lines, keypoints as dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cvtk.visual.overlays import Colour

_EDGE = (20, 20, 20)
_HIDDEN = (255, 255, 255)


def draw_skeleton(
    picture: Image.Image,
    points: NDArray[Any],
    limbs: Sequence[tuple[int, int]],
    colour: Colour,
) -> None:
    """Draws the skeleton of one object onto a picture, in place.

    A keypoint that is visible is a dot in the object's colour, one that is occluded a white one. A limb is drawn where both its ends
    are known.

    Args:
        picture: RGB.
        points: (K, 3) x, y in pixels and 0 (missing), 1 (occluded) or 2 (visible).
        limbs: Pairs of indices of keypoints; those of keypoints that there are not are passed over.
        colour: Of the object.
    """
    pen = ImageDraw.Draw(picture)
    radius = max(2, round(min(picture.size) / 150))
    is_known = points[:, 2] > 0
    for start, end in limbs:
        if max(start, end) < len(points) and is_known[start] and is_known[end]:
            ends = [_place(points[start]), _place(points[end])]
            pen.line(ends, fill=_EDGE, width=radius + 2)
            pen.line(ends, fill=colour, width=radius)
    for point in points[is_known]:
        x, y = _place(point)
        around = (x - radius, y - radius, x + radius, y + radius)
        is_visible = point[2] >= 2
        pen.ellipse(around, fill=colour if is_visible else _HIDDEN, outline=_EDGE)


def _place(point: NDArray[Any]) -> tuple[float, float]:
    """Where a keypoint is drawn; far outside the picture nothing is seen of it anyhow."""
    x, y = np.clip(point[:2], -(10**6), 10**6)
    return float(x), float(y)
