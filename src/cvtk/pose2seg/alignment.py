"""Poses laid upon templates, so that objects lie upright, at one scale, in one place.

A pose is an array (K, 3): x and y of each keypoint, and 0 (missing), 1 (hidden) or 2 (visible), as in COCO. A
transform is a matrix (2, 3), by which (x, y, 1) becomes a new (x, y).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Pairs: TypeAlias = Sequence[Sequence[int]]

LEAST_COMMON = 3
"""Keypoints that a pose and a template must share, for a transform to be trusted."""


def similarity(points: Array, targets: Array) -> Array | None:
    """The rotation, scale and shift that bring points closest to their targets, by least squares.

    With a point as a complex number p, such a transform is a * p + b: a has the rotation and the scale, and the
    best of them are known in closed form.

    Args:
        points: (N, 2).
        targets: (N, 2).

    Returns:
        The transform; None where all points are one.
    """
    p, q = points @ (1, 1j), targets @ (1, 1j)
    from_middle = p - p.mean()
    spread = (np.abs(from_middle) ** 2).sum()
    if spread == 0:
        return None
    a = (from_middle.conj() * (q - q.mean())).sum() / spread
    b = q.mean() - a * p.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def moved(points: Array, transform: Array) -> Array:
    """Points (..., 2) after a transform."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def scale_of(transform: Array) -> float:
    """By how much a similarity transform enlarges."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def fit(pose: Array, template: Array) -> tuple[float, Array] | None:
    """How well a pose fits a template, and the transform that lays it there.

    Args:
        pose: (K, 3), in pixels.
        template: (K, 3), in units of its square, which is 1 x 1.

    Returns:
        A score from 0 to 1, and the transform from pixels to the template's square. None where they have too few
        keypoints in common, or the pose has some that the template lacks: a half body says nothing about legs.
    """
    marked, known = pose[:, 2] > 0, template[:, 2] > 0
    common = marked & known
    if common.sum() < LEAST_COMMON or (marked & ~known).any():
        return None
    transform = similarity(pose[common, :2], template[common, :2])
    if transform is None:
        return None
    apart = moved(pose[common, :2], transform) - template[common, :2]
    closeness = np.exp(-(apart**2).sum(axis=1) / 2).mean()
    return float(closeness * common.sum() / (marked | known).sum()), transform


def align(pose: Array, templates: Sequence[Array], side: int, plain: Array) -> Array:
    """The transform by which an object is seen.

    Args:
        pose: (K, 3), in pixels of the image.
        templates: Each (K, 3), in a square of 1 x 1; see `with_mirrored`.
        side: Of the square in which the object will be seen, in pixels.
        plain: The transform by which the whole image is seen there.

    Returns:
        That of the best template, from pixels of the image to pixels of the square. Where none fits, or the best
        would show less than the whole image does, that is `plain`.
    """
    best, best_score = plain, 0.0
    for template in templates:
        found = fit(pose, template)
        if found is None:
            continue
        score, transform = found
        transform = transform * side
        if score > best_score and scale_of(transform) > scale_of(plain):
            best, best_score = transform, score
    return best


def mirrored(pose: Array, pairs: Pairs, width: float) -> Array:
    """A pose with left and right exchanged, in an image of some width."""
    order = swapped(len(pose), pairs)
    other = pose[order].copy()
    other[:, 0] = width - other[:, 0]
    return other


def swapped(count: int, pairs: Pairs) -> list[int]:
    """For each keypoint the one that takes its place in a mirror."""
    order = list(range(count))
    for left, right in pairs:
        order[left], order[right] = right, left
    return order


def with_mirrored(templates: Sequence[Array], pairs: Pairs) -> list[Array]:
    """All templates, each also mirrored."""
    return [*templates, *(mirrored(template, pairs, 1.0) for template in templates)]


def varied(
    transform: Array, side: int, turn: float, scale: float, shift: tuple[float, float]
) -> Array:
    """A transform followed by a small change about the middle of its square.

    Args:
        transform: From the image to the square.
        side: Of the square, in pixels.
        turn: In degrees.
        scale: A factor.
        shift: In x and y, as fractions of the side.
    """
    a = scale * np.exp(1j * np.deg2rad(turn))
    middle = side / 2 * (1 + 1j)
    b = middle - a * middle + side * complex(*shift)
    change = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    return np.asarray(change @ np.vstack([transform, [0, 0, 1]]))
