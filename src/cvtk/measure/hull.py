"""The convex hull of an object, and its largest and smallest diameter.

A mask does not say where between two pixels the edge of the object runs. A hull through the centres of the outermost
pixels is too small, one around their corners too large, and by how much depends on the direction of the edge. What is
known is that an edge lies between the last line of pixel centres that is inside and the next line parallel to it,
which is outside. The hull here puts each edge halfway between these two lines.

Lines through pixel centres in a direction (a, b), two integers without a common divisor, are 1 / sqrt(a^2 + b^2)
pixels apart: 1 for a horizontal edge, 0.71 for a diagonal one, and close to 0 for one that is neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Hull:
    """The convex hull of an object.

    Attributes:
        polygon: (V, 2) x, y of its corners in pixels, in their order around it.
        centres: (C, 2) x, y of the pixel centres which it is drawn around, in the same order; just the two ends
            where all pixels lie in one line.
        pixels: How many pixel centres it holds.
    """

    polygon: Points
    centres: Points
    pixels: int

    @property
    def is_line(self) -> bool:
        """Whether all pixels lie in one line."""
        return len(self.centres) == 2

    @property
    def perimeter(self) -> float:
        """The length around it in pixels."""
        return float(np.hypot(*_edges(self.polygon).T).sum())

    @property
    def largest_diameter(self) -> float:
        """The largest Feret diameter: the greatest distance between two of its points, in pixels."""
        from scipy.spatial.distance import pdist

        return float(pdist(self.polygon).max())

    @property
    def smallest_diameter(self) -> float:
        """The smallest Feret diameter in pixels: the least distance of two parallel lines that enclose it.

        One of these lines lies on an edge (Freeman and Shapira 1975, https://doi.org/10.1145/360881.360919).
        """
        along = self.polygon @ _normals(self.polygon).T
        return float((along.max(axis=0) - along.min(axis=0)).min())

    def filled(self, height: int, width: int) -> NDArray[np.bool_]:
        """The pixels that it holds, as a mask (height, width); not for a line."""
        columns = np.arange(width)
        rows = np.arange(height)[:, None]
        upper, lower = (self._side(sign, columns) for sign in (1, -1))
        # A centre on an edge is inside, whatever its last digit is.
        found: NDArray[np.bool_] = (rows >= upper - 1e-6) & (rows <= lower + 1e-6)
        return found

    def _side(self, sign: int, columns: NDArray[np.int64]) -> Points:
        """The y of the edges on the upper (1) or lower (-1) side, column by column; NaN outside."""
        forward = sign * _edges(self.centres)[:, 0] > 0
        corners = self.centres[forward | np.roll(forward, 1)]
        x, y = corners[np.argsort(corners[:, 0])].T
        found: Points = np.interp(columns, x, y, left=np.nan, right=np.nan)
        return found


def hull_of(mask: NDArray[np.bool_]) -> Hull:
    """The convex hull of a mask.

    Args:
        mask: (height, width), not empty; several parts count as one object.
    """
    outermost = _outermost(mask)
    if np.linalg.matrix_rank(outermost - outermost[0]) < 2:
        return _hull_of_a_line(outermost)
    corners = _convex(outermost)
    edges = _edges(corners)
    steps = np.gcd(edges[:, 0].astype(int), edges[:, 1].astype(int))
    # Twice the area by the shoelace formula; then Pick's theorem counts the pixel centres.
    x, y = corners.T
    doubled = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    pixels = round((doubled + steps.sum()) / 2 + 1)
    spacing = steps / np.hypot(*edges.T)
    return Hull(_moved_out(corners, spacing / 2), corners, pixels)


def _outermost(mask: NDArray[np.bool_]) -> Points:
    """The centres (x, y) of the highest and the lowest pixel of each column."""
    columns = np.flatnonzero(mask.any(axis=0))
    highest = mask.argmax(axis=0)[columns]
    lowest = mask.shape[0] - 1 - mask[::-1].argmax(axis=0)[columns]
    rows = np.concatenate((highest, lowest))
    return np.stack((np.tile(columns, 2), rows), axis=1).astype(np.float64)


def _hull_of_a_line(centres: Points) -> Hull:
    """The hull of pixels in one line: around their corners, since no line of centres lies beside them."""
    ends = centres[np.lexsort(centres.T)][[0, -1]]
    x, y = ends[1] - ends[0]
    pixels = int(np.gcd(int(x), int(y))) + 1
    offsets = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)])
    corners = (centres[:, None] + offsets).reshape(-1, 2)
    return Hull(_convex(corners), ends, pixels)


def _convex(points: Points) -> Points:
    """The corners of the convex hull of points (N, 2), in their order around it."""
    from scipy.spatial import ConvexHull

    found: Points = points[ConvexHull(points).vertices]
    return found


def _moved_out(corners: Points, distances: Points) -> Points:
    """A convex polygon whose edges are moved outwards by a distance each."""
    from scipy.spatial import HalfspaceIntersection

    normals = _normals(corners)
    # Each edge as a half-plane: normal . point - offset <= 0.
    offsets = (normals * corners).sum(axis=1) + distances
    planes = np.column_stack((normals, -offsets))
    return _convex(HalfspaceIntersection(planes, corners.mean(axis=0)).intersections)


def _edges(corners: Points) -> Points:
    """(V, 2) from each corner to the next one."""
    after: Points = np.roll(corners, -1, axis=0)
    return after - corners


def _normals(corners: Points) -> Points:
    """(V, 2) the directions of length 1 that point out of each edge."""
    x, y = _edges(corners).T
    normals: Points = np.stack((y, -x), axis=1) / np.hypot(x, y)[:, None]
    return normals
