"""From a bitmap to the polygons around it: exact, along the edges of the pixels, holes apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.types import Polygons

# A corner, and the direction in which the outline leaves it: 0 right, 1 down, 2 left, 3 up.
Step = tuple[int, int, int]


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, bool]]:
    """The straight horizontal stretches of the outline: (y, x from, x to, whether the object is below)."""
    padded = np.pad(mask, 1)
    found: list[tuple[int, int, int, bool]] = []
    upper = padded[1:, :] & ~padded[:-1, :]
    lower = padded[:-1, :] & ~padded[1:, :]
    for edges, below in ((upper, True), (lower, False)):
        change = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        rows, starts = np.nonzero(change == 1)
        _, ends = np.nonzero(change == -1)
        for y, x0, x1 in zip(
            rows.tolist(), starts.tolist(), ends.tolist(), strict=True
        ):
            found.append((y, x0 - 1, x1 - 1, below))
    return found


def _steps(mask: NDArray[np.bool_]) -> dict[Step, tuple[int, int]]:
    """Each stretch of the outline from where it starts to where it ends, the object on its right."""
    steps: dict[Step, tuple[int, int]] = {}
    for y, x0, x1, below in _runs(mask):
        steps[(x0, y, 0) if below else (x1, y, 2)] = (x1, y) if below else (x0, y)
    for x, y0, y1, right in _runs(mask.T):
        steps[(x, y1, 3) if right else (x, y0, 1)] = (x, y0) if right else (x, y1)
    return steps


def trace(bitmap: NDArray[Any]) -> tuple[Polygons, Polygons]:
    """The outlines of a mask.

    Every corner is a corner of pixels, so that drawing `outer` less `holes` gives the same bitmap. Pixels
    that touch only at a corner belong to separate outlines.

    Args:
        bitmap: (height, width), zero is background.

    Returns:
        (outer, holes), each a list of polygons [x1, y1, x2, y2, ...].
    """
    steps = _steps(np.asarray(bitmap) != 0)
    outer: Polygons = []
    holes: Polygons = []
    while steps:
        start = step = next(iter(steps))
        path: list[tuple[int, int]] = []
        while True:
            path.append(step[:2])
            x, y = steps.pop(step)
            # Right first: where two pixels touch at a corner, that stays with the one we came from.
            right, left = (x, y, (step[2] + 1) % 4), (x, y, (step[2] + 3) % 4)
            step = right if right in steps or right == start else left
            if step == start:
                break
        points = np.array(path, dtype=np.float64)
        after = np.roll(points, -1, axis=0)
        signed = float(np.sum(points[:, 0] * after[:, 1] - after[:, 0] * points[:, 1]))
        (outer if signed > 0 else holes).append([float(v) for v in points.ravel()])
    return outer, holes


def join(outer: Polygons, holes: Polygons) -> list[float]:
    """Parts and holes as one polygon, for formats that know no other: zero-width bridges join them.

    Each part is entered and left along the same line, which covers no area.
    """
    parts = [np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in [*outer, *holes]]
    path: NDArray[Any] = parts.pop(0)
    while parts:
        # The closest pair between the path and any part that is left.
        best = (float("inf"), 0, 0, 0)
        for k, part in enumerate(parts):
            d = ((path[:, None, :] - part[None, :, :]) ** 2).sum(axis=2)
            i, j = divmod(int(d.argmin()), len(part))
            if d[i, j] < best[0]:
                best = (float(d[i, j]), k, i, j)
        _, k, i, j = best
        part = parts.pop(k)
        path = np.concatenate((path[: i + 1], part[j:], part[: j + 1], path[i:]))
    return [float(v) for v in path.ravel()]
