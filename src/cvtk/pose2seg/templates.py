"""Templates: what poses look like, as the centres of clusters of a training set's poses."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .alignment import LEAST_COMMON, Array, Pairs, mirrored

MOST_POSES = 5000  # that are clustered; more would only take longer
ATTEMPTS = 8  # of the clustering, from different starts
ROUNDS = 100
FEW = (
    1 / 3
)  # of a cluster's poses: a keypoint that fewer have is no part of its template
PLACES = 4  # decimals that the configuration keeps

_SIDES = {"left": "right", "l": "r"}
_SIDES |= {right: left for left, right in _SIDES.items()}
# "left" anywhere in a name, and "l" where it stands alone: left_eye, LeftEye, L_Eye, eye.l
_SIDE = re.compile(r"left|right|(?<![a-z])[lr](?![a-z])", re.IGNORECASE)


def mirrored_pairs(names: Sequence[str]) -> list[list[int]]:
    """The keypoints that change places in a mirror, by their names.

    Args:
        names: Such as "left_eye", "right_eye" and "nose".

    Returns:
        Pairs of indices, left before right as in the names' order.
    """
    places = {name.lower(): number for number, name in enumerate(names)}
    pairs = []
    for number, name in enumerate(names):
        partner = _SIDE.sub(lambda found: _SIDES[found[0].lower()], name.lower())
        other = places.get(partner, number)
        if other > number:
            pairs.append([number, other])
    return pairs


def in_unit_square(pose: Array, box: Sequence[float]) -> Array:
    """A pose as it lies in the square around its object's box: 0 to 1, the box in the middle.

    Args:
        pose: (K, 3), in pixels.
        box: x, y, width and height, in pixels.
    """
    x, y, width, height = box
    side = max(width, height)
    corner = np.array([x + width / 2 - side / 2, y + height / 2 - side / 2])
    return np.column_stack([(pose[:, :2] - corner) / side, pose[:, 2]])


def cluster(poses: Sequence[Array], pairs: Pairs, count: int = 3) -> list[Array]:
    """The centres of clusters of poses, where a pose and its mirror image are the same.

    Args:
        poses: Each (K, 3), in a square of 1 x 1.
        pairs: Keypoints that change places in a mirror.
        count: Of clusters.

    Returns:
        At most `count` templates (K, 3), the one of most poses first. A keypoint that few of a cluster's poses have
        is missing in its template.
    """
    usable = [pose for pose in poses if (pose[:, 2] > 0).sum() >= LEAST_COMMON]
    # Those of which little is marked would make clusters of their own: of what happened to be hidden.
    rich = [pose for pose in usable if (pose[:, 2] > 0).mean() > 0.5] or usable
    step = max(1, len(rich) // MOST_POSES)
    kept = np.array(rich[::step])
    if not len(kept):
        return []
    both = np.stack([kept, [mirrored(pose, pairs, 1.0) for pose in kept]])
    vectors = _vectors(both)
    rng = np.random.default_rng(0)
    tries = [_k_means(vectors, min(count, len(kept)), rng) for _ in range(ATTEMPTS)]
    _, labels, flips = min(tries, key=lambda one: one[0])
    members = both[flips, np.arange(len(kept))]
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    found = [_centre(members[labels == number]) for number in order if sizes[number]]
    return [each for each in found if (each[:, 2] > 0).sum() >= LEAST_COMMON]


def _vectors(poses: Array) -> Array:
    """(..., K, 3) as (..., 3 K): x, y and 1 of a keypoint; the middle and 0 where it is missing.

    So a keypoint that only one of two poses has keeps them apart, by about as much as the square is large.
    """
    marked = poses[..., 2:] > 0
    places = np.where(marked, poses[..., :2], 0.5)
    joined = np.concatenate([places, marked], axis=-1)
    return np.asarray(joined.reshape(*poses.shape[:-2], -1))


def _k_means(
    vectors: Array, count: int, rng: np.random.Generator
) -> tuple[float, Array, Array]:
    """Lloyd's algorithm on vectors (2, N, D), of poses and of their mirror images.

    Returns:
        The summed squared distance, the cluster of each pose, and 1 for those that lie in it mirrored.
    """
    number = vectors.shape[1]
    centres = vectors[0, rng.choice(number, count, replace=False)]
    labels = np.full(number, -1)
    for _ in range(ROUNDS):
        apart = ((vectors[:, :, None] - centres) ** 2).sum(axis=-1)  # 2, N, count
        nearest = apart.min(axis=0).argmin(axis=1)
        flips = apart.argmin(axis=0)[np.arange(number), nearest]
        if (nearest == labels).all():
            break
        labels = nearest
        members = vectors[flips, np.arange(number)]
        for one in range(count):
            if (labels == one).any():
                centres[one] = members[labels == one].mean(axis=0)
    total = apart[flips, np.arange(number), labels].sum()
    return float(total), labels, flips


def _centre(poses: Array) -> Array:
    """The mean of poses (N, K, 3), of those that have the keypoint."""
    marked = poses[..., 2] > 0
    seen = marked.sum(axis=0)
    sums = np.where(marked[..., None], poses[..., :2], 0).sum(axis=0)
    known = seen >= FEW * len(poses)
    mean = sums / np.maximum(seen, 1)[:, None]
    template = np.column_stack([mean, np.full(len(mean), 2.0)]) * known[:, None]
    return np.asarray(template.round(PLACES))
