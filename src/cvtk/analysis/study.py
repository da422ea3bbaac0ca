"""All that is known of an evaluation, computed once: tables and report are written from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.bootstrap import DRAWS, Intervals, intervals
from cvtk.analysis.counts import PerImage, areas, per_image
from cvtk.analysis.matching import Matches, confusion_matrix, match
from cvtk.analysis.outcomes import Outcome, Outcomes, costs, outcomes
from cvtk.analysis.thresholds import Thresholds, one_threshold
from cvtk.data import Dataset
from cvtk.data.masks import boxes_around
from cvtk.metrics import (
    Detections,
    GroundTruth,
    detection_limits,
    from_predictions,
    ground_truth,
)
from cvtk.metrics.detections import Kind


@dataclass(frozen=True)
class Study:
    """An evaluation, analysed.

    Attributes:
        dataset: The annotated set.
        matches: Detections matched with objects.
        thresholds: The scores from which on detections count for all but AP, AR and the costs.
        is_kept: (N,) the detections that reach the score of their class.
        outcomes: What became of each detection and each object.
        costs: What each kind of error costs in AP at IoU 0.50, 0 to 1.
        intervals: The metrics, with 95% intervals.
        confusion: (K + 1, K + 1) true classes by predicted classes, the background last.
        per_image: Counts and areas, by class name.
        true_area: (G,) of the objects in square pixels.
        found_area: (N,) of the detections.
        limit: How many detections per image and class the headline AP counts.
    """

    dataset: Dataset
    matches: Matches
    thresholds: Thresholds
    is_kept: NDArray[np.bool_]
    outcomes: Outcomes
    costs: dict[Outcome, float]
    intervals: Intervals
    confusion: NDArray[np.int64]
    per_image: dict[str, PerImage]
    true_area: NDArray[np.float64]
    found_area: NDArray[np.float64]
    limit: int


def study(
    dataset: Dataset,
    predictions: Sequence[Mapping[str, Any]],
    kind: Kind,
    thresholds: Thresholds | None = None,
    *,
    draws: int = DRAWS,
) -> Study:
    """Analyses predictions on an annotated set.

    Args:
        dataset: The annotated set.
        predictions: What was found, all of it, in COCO's results format.
        kind: Whether masks ("segm") or boxes ("bbox") are compared.
        thresholds: The scores to cut at, chosen on other data; the default score where left out.
        draws: How often images are drawn for the intervals.

    Raises:
        DataError: The annotations or a prediction cannot be used; the message says which.
    """
    matches = matches_of(dataset, predictions, kind)
    limit = headline_limit(matches.truth)
    thresholds = thresholds or one_threshold(matches.truth.class_order)
    is_kept = thresholds.is_kept(matches)
    true_area, found_area = areas(matches)
    return Study(
        dataset=dataset,
        matches=matches,
        thresholds=thresholds,
        is_kept=is_kept,
        outcomes=outcomes(matches, is_kept),
        costs=costs(matches),
        intervals=intervals(matches, is_kept, limit=limit, draws=draws),
        confusion=confusion_matrix(matches, is_kept),
        per_image=per_image(matches, is_kept),
        true_area=true_area,
        found_area=found_area,
        limit=limit,
    )


def matches_of(
    dataset: Dataset, predictions: Sequence[Mapping[str, Any]], kind: Kind
) -> Matches:
    """Predictions matched with the objects of an annotated set; see `study`.

    Raises:
        DataError: The annotations or a prediction cannot be used; the message says which.
    """
    truth = ground_truth(dataset, masks=kind == "segm")
    found = _with_boxes(from_predictions(truth, predictions, kind))
    return match(truth, found, kind, detection_limits(truth)[-1])


def headline_limit(truth: GroundTruth) -> int:
    """How many detections per image and class the headline AP counts: the first limit that covers the objects."""
    limits, (_, most) = detection_limits(truth), truth.most_objects()
    return next((limit for limit in limits if limit >= most), limits[-1])


def _with_boxes(found: Detections) -> Detections:
    """Detections of masks with the boxes around them, which the comparison of masks does without."""
    if not found.masks:
        return found
    return replace(found, bbox=boxes_around(found.masks))
