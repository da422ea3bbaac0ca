"""AP and recall from a ranking of detections, for many weightings of the images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.metrics.arrays import RECALL_THRESHOLDS

Weights = NDArray[np.int32]
"""(B, images) how often each image counts: all ones for the data set itself."""


@dataclass(frozen=True)
class Ranking:
    """The detections of one class at one IoU, those of the highest score first.

    Attributes:
        image: (N,) the index of each detection's image, from 0.
        is_true: (N,) whether it has found an object.
        is_false: (N,) whether it has not. What lies in a crowd is neither.
        objects: (images,) how many objects have to be found in each image.
    """

    image: NDArray[np.int64]
    is_true: NDArray[np.bool_]
    is_false: NDArray[np.bool_]
    objects: NDArray[np.int64]

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """(N,) whether a detection is right or wrong."""
        return np.asarray(self.is_true | self.is_false)

    def counts_the_same(self, other: Ranking) -> bool:
        """Whether the same detections of the same images are right or wrong in both."""
        return np.array_equal(self.image, other.image) and np.array_equal(
            self.is_counted, other.is_counted
        )

    @property
    def weights(self) -> Weights:
        """(1, images) ones: the data set as it is."""
        return np.ones((1, len(self.objects)), dtype=np.int32)


def average_precision(ranking: Ranking, weights: Weights) -> NDArray[np.float64]:
    """COCO's AP, interpolated at 101 recalls, of each weighting of the images.

    It is what pycocotools would compute on a data set that holds each image as often as its weight says.

    Returns:
        (B,) 0 to 1; NaN where there is no object to be found.
    """
    return np.asarray(average_precisions([ranking], weights)[0])


def average_precisions(
    rankings: Sequence[Ranking], weights: Weights
) -> NDArray[np.float64]:
    """`average_precision` of the same detections at several IoUs, quicker than one by one.

    Returns:
        (rankings, B) 0 to 1; NaN where there is no object to be found.
    """
    values = []
    last: Ranking | None = None
    for ranking in rankings:
        if last is None or not ranking.counts_the_same(last):
            seen = _seen(ranking, weights)
        last = ranking
        values.append(_interpolated(ranking, weights, seen).mean(axis=1))
    return np.array(values)


def interpolated_precision(ranking: Ranking, weights: Weights) -> NDArray[np.float64]:
    """The highest precision at each recall of 0, 0.01, ... 1 or above it.

    Returns:
        (B, 101) 0 to 1; NaN where there is no object to be found.
    """
    return _interpolated(ranking, weights, _seen(ranking, weights))


def _seen(ranking: Ranking, weights: Weights) -> NDArray[Any]:
    """(B, N) how many detections that are right or wrong there are up to each place."""
    drawn = weights[:, ranking.image]
    drawn[:, ~ranking.is_counted] = 0
    return np.asarray(np.cumsum(drawn, axis=1, dtype=np.int32))


def _interpolated(
    ranking: Ranking, weights: Weights, seen: NDArray[Any]
) -> NDArray[np.float64]:
    objects = weights @ ranking.objects
    result: NDArray[np.float64] = np.zeros((len(weights), len(RECALL_THRESHOLDS)))
    # The best precisions are reached where an object is found, so that only those places matter.
    places = np.flatnonzero(ranking.is_true)
    if len(places):
        true = np.cumsum(weights[:, ranking.image[places]], axis=1, dtype=np.int64)
        precision = true / (seen[:, places] + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        result = _at_recalls(best, true, objects)
    result[objects == 0] = np.nan
    return result


def recall(ranking: Ranking, weights: Weights) -> NDArray[np.float64]:
    """The share of objects that were found, of each weighting.

    Returns:
        (B,) 0 to 1; NaN where there is no object to be found.
    """
    objects = (weights @ ranking.objects).astype(np.float64)
    found = np.bincount(ranking.image[ranking.is_true], minlength=len(ranking.objects))
    objects[objects == 0] = np.nan
    return np.asarray(weights @ found / objects)


def _at_recalls(
    best: NDArray[np.float64], true: NDArray[np.int64], objects: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The precision where each recall is first reached; 0 where it is not."""
    needed = _objects_needed(objects)
    # One search for all rows: the numbers of each row lie above those of the rows before it.
    rows = np.arange(len(true))[:, None]
    step = max(int(true.max()), int(needed.max())) + 1
    place = np.searchsorted(
        (true + rows * step).ravel(), (needed + rows * step).ravel()
    ).reshape(needed.shape)
    place -= rows * true.shape[1]
    is_reached = place < true.shape[1]
    place = np.minimum(place, true.shape[1] - 1)
    return np.where(is_reached, np.take_along_axis(best, place, axis=1), 0.0)


def _objects_needed(objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B, 101) the fewest objects to find for each recall, with the rounding of `found / objects`."""
    total = np.maximum(objects, 1)[:, None]
    needed = np.ceil(RECALL_THRESHOLDS * total).astype(np.int64)
    needed -= (needed > 0) & ((needed - 1) / total >= RECALL_THRESHOLDS)
    needed += needed / total < RECALL_THRESHOLDS
    return np.asarray(needed)
