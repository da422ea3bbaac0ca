"""Dealing out groups of images so that every part gets its share of every class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def assign(
    counts: NDArray[np.int64], ratios: list[float], seed: int
) -> NDArray[np.int64]:
    """Iterative stratification: which part each group goes to.

    K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data" (2011), with
    instances in place of labels: the rarest class is dealt out first, each group to the part that lacks
    most of that class, then most images.

    Args:
        counts: (groups, 1 + classes): images of each group, then its instances of each class.
        ratios: The share of each part; they add up to 1.
        seed: Of the order among equals.

    Returns:
        (groups,) the index of the part.
    """
    rng = np.random.default_rng(seed)
    share = np.array(ratios)
    lacking = np.outer(share, counts.sum(axis=0).astype(float))
    result: NDArray[np.int64] = np.full(len(counts), -1)
    free = np.ones(len(counts), bool)
    shuffled = rng.permutation(len(counts))
    left = counts.sum(axis=0).astype(float)
    while free.any():
        classes = left[1:].copy()
        classes[classes <= 0] = np.inf
        column = int(classes.argmin()) + 1 if np.isfinite(classes).any() else 0
        members = shuffled[free[shuffled] & (counts[shuffled, column] > 0)]
        if not len(members):  # groups of no image cannot be, but a loop must end
            break
        members = members[np.argsort(-counts[members, column], kind="stable")]
        for group in members:
            # In parts of their own size, so that small parts are not starved.
            need = lacking[:, column] / share
            images = lacking[:, 0] / share
            best = np.lexsort((images, need))[-1]
            result[group] = best
            lacking[best] -= counts[group]
        free[members] = False
        left -= counts[members].sum(axis=0)
    result = _refine(counts, result, share)
    # A part may have come out empty where there are few groups: give it the smallest that can be spared.
    for part in range(len(ratios)):
        if len(counts) >= len(ratios) and not (result == part).any():
            largest = int(np.bincount(result, minlength=len(ratios)).argmax())
            spare = np.flatnonzero(result == largest)
            result[spare[counts[spare, 0].argmin()]] = part
    return result


def _refine(
    counts: NDArray[np.int64], part: NDArray[np.int64], share: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Swaps and moves groups between parts as long as that evens out the classes.

    What is made small is the sum over parts and classes (and images) of
    (count / total - share)^2 / share. Large sets come out even by themselves.
    """
    if not 1 < len(counts) <= 2000:
        return part
    parts = len(share)
    part = part.copy()
    x: NDArray[Any] = counts / np.maximum(counts.sum(axis=0), 1)
    off = np.stack(
        [
            x[part == k].sum(axis=0) - share[k] * (x.sum(axis=0) > 0)
            for k in range(parts)
        ]
    )
    # A group of nothing in each part: swapping with it is moving there.
    x = np.vstack((x, np.zeros((parts, x.shape[1]))))
    part = np.concatenate((part, np.arange(parts)))
    for _ in range(20):
        better = False
        for g in range(len(counts)):
            a, d = part[g], x - x[g]
            gain_a = (2 * off[a] * d + d**2).sum(axis=1) / share[a]
            gain_b = (-2 * off[part] * d + d**2).sum(axis=1) / share[part]
            change = np.where(part == a, 0.0, gain_a + gain_b)
            h = int(change.argmin())
            if change[h] > -1e-9:
                continue
            b, better = part[h], True
            off[a], off[b] = off[a] + d[h], off[b] - d[h]
            part[g] = b
            if h < len(counts):
                part[h] = a
        if not better:
            break
    return part[: len(counts)]
