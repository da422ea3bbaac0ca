"""Dealing out groups of images so that every part gets its share of classes, sizes and crowded images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.stats import mask_area
from cvtk.data.types import Dataset

# How many of the groups start in another part by chance, before swaps even out what came of it.
_SHAKEN = 0.5
# What was asked for is a share of the images: these count for more than each of the other columns.
_IMAGES = 3.0


def count_groups(
    dataset: Dataset, group: NDArray[np.int64], total: int
) -> NDArray[np.int64]:
    """What is to be dealt out evenly.

    Args:
        dataset: The set.
        group: (images,) the group of each image.
        total: How many groups there are.

    Returns:
        (total, columns): of each group its images; itself (1), so that no part is one large group; its
        objects of each class; its objects of each third of all by size; and its images of each third of all
        by how many objects they show.
    """
    place = {image.id: i for i, image in enumerate(dataset.images)}
    order = {category.id: k for k, category in enumerate(dataset.categories)}
    sizes = {image.id: image for image in dataset.images}
    owner, column, area = [], [], []
    for annotation in dataset.annotations:
        i, k = place.get(annotation.image_id), order.get(annotation.category_id)
        if i is not None and k is not None:
            owner.append(i)
            column.append(k)
            area.append(mask_area(annotation, sizes.get(annotation.image_id)))
    images = np.array(owner, dtype=np.int64)
    per_image = np.bincount(images, minlength=len(group))
    return np.column_stack(
        [
            np.bincount(group, minlength=total),
            np.ones(total, np.int64),
            _table(group[images], np.array(column, int), (total, len(order))),
            _table(group[images], _thirds(np.array(area)), (total, 3)),
            _table(group, _thirds(per_image), (total, 3)),
        ]
    ).astype(np.int64)


def _table(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """How often each row occurs with each column."""
    table = np.zeros(shape, np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def _thirds(values: NDArray[Any]) -> NDArray[np.int64]:
    """In which third (0, 1, 2) of all each value lies; equal values are in one."""
    known = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if not len(known):
        return np.zeros(0, np.int64)
    return np.searchsorted(np.quantile(known, (1 / 3, 2 / 3)), known, side="left")


def assign(
    counts: NDArray[np.int64], ratios: list[float], seed: int
) -> NDArray[np.int64]:
    """Iterative stratification: which part each group goes to.

    K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data" (2011), with
    counts in place of labels: the rarest column is dealt out first, each group to the part that lacks most
    of it, then most images. Swaps then even out the columns; where several are nearly as good, the seed
    chooses.

    Args:
        counts: (groups, columns) as `count_groups` gives them; the first column is the images.
        ratios: The share of each part; they add up to 1.
        seed: Equal seeds give equal splits, others give others.

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
    result = _refine(counts, result, share, rng)
    # A part may have come out empty where there are few groups: give it the smallest that can be spared.
    for part in range(len(ratios)):
        if len(counts) >= len(ratios) and not (result == part).any():
            largest = int(np.bincount(result, minlength=len(ratios)).argmax())
            spare = np.flatnonzero(result == largest)
            result[spare[counts[spare, 0].argmin()]] = part
    return result


def _refine(
    counts: NDArray[np.int64],
    part: NDArray[np.int64],
    share: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Swaps and moves groups between parts as long as that evens out the classes.

    What is made small is the sum over parts and columns of (count / total - share)^2 / share. Large sets come out even by themselves.
    """
    if not 1 < len(counts) <= 2000:
        return part
    parts = len(share)
    # Some groups start elsewhere, so that each seed ends in an even split of its own.
    part = np.where(rng.random(len(part)) < _SHAKEN, rng.permutation(part), part)
    x: NDArray[Any] = counts / np.maximum(counts.sum(axis=0), 1)
    x[:, 0] *= _IMAGES
    off = np.stack(
        [x[part == k].sum(axis=0) - share[k] * x.sum(axis=0) for k in range(parts)]
    )
    # A group of nothing in each part: swapping with it is moving there.
    x = np.vstack((x, np.zeros((parts, x.shape[1]))))
    part = np.concatenate((part, np.arange(parts)))
    for _ in range(20):
        better = False
        for g in rng.permutation(len(counts)):
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
