"""Which detection found which object: the matches that COCO's AP is made of, and those of a confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.io import CocoRLE
from cvtk.metrics import Detections, GroundTruth
from cvtk.metrics.arrays import IOU_THRESHOLDS
from cvtk.metrics.detections import Kind

NOTHING = -1
"""Stands for "no object" and "no detection" where an index is expected."""


@dataclass(frozen=True)
class Overlaps:
    """The pairs of a detection and an object of the same image that overlap; one row per pair.

    Attributes:
        detection: (M,) index of the detection, ascending.
        true: (M,) index of the object.
        iou: (M,) above 0, at most 1. Of a crowd: the share of the detection that lies in it.
    """

    detection: NDArray[np.int64]
    true: NDArray[np.int64]
    iou: NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """Detections matched with true objects, as COCO's AP matches them.

    Attributes:
        truth: The true objects, G of them.
        found: The N detections that count, those of the highest score first.
        number: (N,) the place of each in what was given, from 1.
        kind: Whether masks or boxes were compared.
        rank: (N,) the place of each among those of its image and class, from 0.
        true_image: (G,) the number of each object's image, from 1.
        true_category: (G,) the number of its category, from 1.
        is_crowd: (G,) whether an object stands for many, and need not be found.
        overlaps: All pairs that overlap.
        matched: (10, N) the object that each detection matches at each IoU of `IOU_THRESHOLDS`, or NOTHING.
    """

    truth: GroundTruth
    found: Detections
    number: NDArray[np.int64]
    kind: Kind
    rank: NDArray[np.int64]
    true_image: NDArray[np.int64]
    true_category: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    overlaps: Overlaps
    matched: NDArray[np.int64]

    @property
    def is_true(self) -> NDArray[np.bool_]:
        """(10, N) whether each detection has found an object."""
        return np.asarray((self.matched != NOTHING) & ~self.is_ignored)

    @property
    def is_ignored(self) -> NDArray[np.bool_]:
        """(10, N) whether each detection matches a crowd, and is neither right nor wrong."""
        if not self.is_crowd.any():
            return np.zeros(self.matched.shape, dtype=bool)
        return np.asarray((self.matched != NOTHING) & self.is_crowd[self.matched])

    def objects_per_image(self, category: int) -> NDArray[np.int64]:
        """(images,) how many objects of a category have to be found in each image."""
        chosen = (self.true_category == category) & ~self.is_crowd
        images = len(self.truth.image_names)
        return np.bincount(self.true_image[chosen] - 1, minlength=images)


def match(
    truth: GroundTruth, found: Detections, kind: Kind, limit: int = 1000
) -> Matches:
    """Matches detections with the objects of their image and class, as COCO's AP does.

    The detection with the highest score comes first. It gets the object that it overlaps most, of those that
    no other has, if their IoU reaches the threshold; otherwise a crowd, of which any number may have the same
    (pycocotools, `COCOeval.evaluateImg`). So what a detection gets does not depend on those of lower scores:
    the matches above a score are the same as those of all.

    Args:
        truth: The true objects.
        found: What was found.
        kind: Whether masks or boxes are compared.
        limit: How many detections per image and class count.
    """
    found, number, rank = _best_first(found, limit)
    true_image = np.array([true.image for true in truth.objects], dtype=np.int64)
    true_category = np.array([true.category for true in truth.objects], dtype=np.int64)
    is_crowd = np.array([true.is_crowd for true in truth.objects], dtype=bool)
    overlaps = _overlaps(truth, true_image, is_crowd, found, kind)
    is_same = true_category[overlaps.true] == found.category[overlaps.detection]
    return Matches(
        truth=truth,
        found=found,
        number=number,
        kind=kind,
        rank=rank,
        true_image=true_image,
        true_category=true_category,
        is_crowd=is_crowd,
        overlaps=overlaps,
        matched=_match_greedily(overlaps, is_same, is_crowd, len(found)),
    )


def match_across_classes(
    matches: Matches, is_kept: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Matches for a confusion matrix: what AP leaves unmatched may match an object of another class.

    Within a class the matches are those of AP at IoU 0.50, so that the diagonal of the matrix counts the true
    positives. No object and no detection is in two matches, but for crowds.

    Args:
        matches: Those of AP.
        is_kept: (N,) which detections are looked at, such as those above a score.

    Returns:
        (N,) the object that each detection matches, or NOTHING, also where it is not kept.
    """
    matched = np.where(is_kept, matches.matched[0], NOTHING)
    is_free_object = ~matches.is_crowd
    is_free_object[matched[matched != NOTHING]] = False
    is_free_detection = is_kept & (matched == NOTHING)
    overlaps = matches.overlaps
    is_open = is_free_detection[overlaps.detection] & is_free_object[overlaps.true]
    rest = _match_greedily(overlaps, is_open, matches.is_crowd, len(matches.found))
    return np.where(matched == NOTHING, rest[0], matched)


def confusion_matrix(matches: Matches, is_kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How often each true class was predicted as each class.

    Args:
        matches: Those of AP.
        is_kept: (N,) which detections are looked at.

    Returns:
        (K + 1, K + 1) counts: rows are true classes, columns are predicted classes, in the order of
        `truth.classes`. The last column counts objects that were not found, the last row detections where
        there is no object. Crowds, and what lies in them, count nowhere.
    """
    classes = len(matches.truth.classes)
    matched = match_across_classes(matches, is_kept)
    is_hit = matched != NOTHING
    in_crowd = np.zeros_like(is_hit)
    in_crowd[is_hit] = matches.is_crowd[matched[is_hit]]
    pairs = is_hit & ~in_crowd
    false = is_kept & ~is_hit
    is_missed = ~matches.is_crowd
    is_missed[matched[pairs]] = False
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    found = matches.found.category - 1
    true = matches.true_category - 1
    np.add.at(counts, (true[matched[pairs]], found[pairs]), 1)
    counts[:classes, classes] = np.bincount(true[is_missed], minlength=classes)
    counts[classes, :classes] = np.bincount(found[false], minlength=classes)
    return counts


def _best_first(
    found: Detections, limit: int
) -> tuple[Detections, NDArray[np.int64], NDArray[np.int64]]:
    """The detections that count in the order in which pycocotools ranks them, their numbers and ranks."""
    # Equal scores: the earlier image first, and within an image what came first.
    order = np.lexsort((found.image, -found.score))
    group = found.image[order] * (found.category.max(initial=0) + 1)
    group += found.category[order]
    by_group = np.argsort(group, kind="stable")
    _, first, counts = np.unique(group[by_group], return_index=True, return_counts=True)
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_group] = np.arange(len(order)) - np.repeat(first, counts)
    counts_in = np.flatnonzero(rank < limit)
    best = order[counts_in]
    return found.take(best), best + 1, rank[counts_in]


def _overlaps(
    truth: GroundTruth,
    true_image: NDArray[np.int64],
    is_crowd: NDArray[np.bool_],
    found: Detections,
    kind: Kind,
) -> Overlaps:
    """All pairs that overlap, image by image."""
    from pycocotools import mask as api

    detections, objects, ious = [], [], []
    for in_image, true in _by_image(found.image, true_image):
        iou = api.iou(
            _shapes(found, in_image, kind),
            _true_shapes(truth, true, kind),
            is_crowd[true].astype(int).tolist(),
        )
        row, column = np.nonzero(iou)
        detections.append(in_image[row])
        objects.append(true[column])
        ious.append(iou[row, column])
    if not detections:
        nothing = np.zeros(0, dtype=np.int64)
        return Overlaps(nothing, nothing, np.zeros(0))
    detection = np.concatenate(detections)
    order = np.argsort(detection, kind="stable")
    return Overlaps(
        detection[order], np.concatenate(objects)[order], np.concatenate(ious)[order]
    )


def _by_image(
    found_image: NDArray[np.int64], true_image: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The detections and the objects of each image that has both."""
    found_order = np.argsort(found_image, kind="stable")
    true_order = np.argsort(true_image, kind="stable")
    images = np.intersect1d(found_image, true_image)
    found_sorted, true_sorted = found_image[found_order], true_image[true_order]
    for image in images:
        first, last = np.searchsorted(found_sorted, (image, image + 1))
        true_first, true_last = np.searchsorted(true_sorted, (image, image + 1))
        yield found_order[first:last], true_order[true_first:true_last]


def _shapes(
    found: Detections, chosen: NDArray[np.int64], kind: Kind
) -> list[CocoRLE] | NDArray[np.float64]:
    if kind == "segm" and found.masks is not None:
        return [found.masks[i] for i in chosen]
    return found.bbox[chosen]


def _true_shapes(
    truth: GroundTruth, chosen: NDArray[np.int64], kind: Kind
) -> list[CocoRLE | None] | NDArray[np.float64]:
    if kind == "segm":
        return [truth.objects[i].mask for i in chosen]
    return np.array([truth.objects[i].bbox for i in chosen], dtype=np.float64)


def _match_greedily(
    overlaps: Overlaps,
    is_open: NDArray[np.bool_],
    is_crowd: NDArray[np.bool_],
    count: int,
) -> NDArray[np.int64]:
    """Gives each detection, best first, the best object that is left.

    Args:
        overlaps: All pairs.
        is_open: (M,) which of them may match.
        is_crowd: (G,) which objects any number of detections may have.
        count: N, the number of detections.

    Returns:
        (10, N) the object of each detection at each IoU threshold, or NOTHING.
    """
    chosen = np.flatnonzero(is_open & (overlaps.iou >= IOU_THRESHOLDS[0]))
    detection, true = overlaps.detection[chosen], overlaps.true[chosen]
    iou, crowd = overlaps.iou[chosen], is_crowd[true]
    # Of one detection: objects before crowds, then the highest IoU; of equal ones pycocotools takes the last.
    order = np.lexsort((-true, -iou, crowd, detection))
    matched = np.full((len(IOU_THRESHOLDS), count), NOTHING, dtype=np.int64)
    taken: list[set[int]] = [set() for _ in IOU_THRESHOLDS]
    columns = (detection[order], true[order], iou[order], crowd[order])
    for index, candidate, overlap, in_crowd in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        for level, least in enumerate(IOU_THRESHOLDS):
            if overlap < least:
                break  # the thresholds ascend
            is_taken = candidate in taken[level] and not in_crowd
            if matched[level, index] == NOTHING and not is_taken:
                matched[level, index] = candidate
                taken[level].add(candidate)
    return matched
