"""What kind of error each detection and each object is, after TIDE, and what each kind costs.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020
(https://arxiv.org/abs/2008.08115). Their "localization" error is called a poor mask (or box) here, and "both"
is a wrong class and a poor mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.matching import NOTHING, Matches
from cvtk.analysis.ranking import Ranking, average_precision
from cvtk.metrics.detections import Kind

SAME_OBJECT, BACKGROUND_IOU = 0.5, 0.1
"""From this IoU on, a detection has found the object; below the other, it is not about the object at all."""


class Outcome(IntEnum):
    """What became of a detection or of an object. An object is CORRECT where it was found."""

    CORRECT = 0
    IN_CROWD = 1
    MISSED = 2
    DUPLICATE = 3
    WRONG_CLASS = 4
    POOR_MASK = 5
    WRONG_CLASS_AND_POOR_MASK = 6
    BACKGROUND = 7

    def words(self, kind: Kind) -> str:
        """The outcome as tables and pages name it, such as "poor mask", or "poor box"."""
        words = self.name.lower().replace("_", " ")
        return words if kind == "segm" else words.replace("mask", "box")


ERRORS = tuple(Outcome)[2:]
"""The kinds of error."""


@dataclass(frozen=True)
class Outcomes:
    """What became of every detection and every object.

    Attributes:
        detection: (N,) an `Outcome` for each detection.
        about: (N,) the object that a detection has found, or would have without its error; or NOTHING.
        iou: (N,) the IoU with it; the highest with any object where there is none.
        is_kept: (N,) which detections were looked at for the objects.
        true: (G,) an `Outcome` for each object: CORRECT, IN_CROWD, MISSED, or the error of the best
            detection that is about it.
        found_by: (G,) the detection that is CORRECT, or the best one that is about it; or NOTHING.
    """

    detection: NDArray[np.int64]
    about: NDArray[np.int64]
    iou: NDArray[np.float64]
    is_kept: NDArray[np.bool_]
    true: NDArray[np.int64]
    found_by: NDArray[np.int64]


def outcomes(matches: Matches, is_kept: NDArray[np.bool_] | None = None) -> Outcomes:
    """Names what became of every detection and every object at IoU 0.50.

    A detection that is unmatched is, by the first that holds: of the WRONG_CLASS (IoU of 0.5 or more with an
    object of another class), a DUPLICATE (0.5 or more with one of its class, which a better one has found), a
    POOR_MASK (0.1 or more with one of its class), both (0.1 or more with one of another class), or in the
    BACKGROUND. TIDE's program asks for poor masks first; then a detection that lies on an object of another
    class and touches a neighbour of its own would be a poor mask.

    An object that is unmatched is MISSED where no detection has the wrong class or a poor mask on it alone.

    Args:
        matches: Detections matched with objects.
        is_kept: (N,) the detections that count for the objects, such as those above a score; all where left
            out. The outcome of a detection does not depend on it.
    """
    count = len(matches.found)
    is_kept = np.ones(count, dtype=bool) if is_kept is None else is_kept
    same, same_iou = _best(matches, of_its_class=True)
    other, other_iou = _best(matches, of_its_class=False)
    kind = np.full(count, Outcome.BACKGROUND, dtype=np.int64)
    about = np.full(count, NOTHING, dtype=np.int64)
    # The first rule that holds must win, so it is applied last.
    for outcome, holds, true in (
        (Outcome.WRONG_CLASS_AND_POOR_MASK, other_iou >= BACKGROUND_IOU, other),
        (Outcome.POOR_MASK, same_iou >= BACKGROUND_IOU, same),
        (Outcome.DUPLICATE, same_iou >= SAME_OBJECT, same),
        (Outcome.WRONG_CLASS, other_iou >= SAME_OBJECT, other),
        (Outcome.CORRECT, matches.is_true[0], matches.matched[0]),
        (Outcome.IN_CROWD, matches.is_ignored[0], matches.matched[0]),
    ):
        kind[holds] = outcome
        about[holds] = true[holds]
    iou = np.maximum(same_iou, other_iou)
    iou[about == same] = same_iou[about == same]
    iou[about == other] = other_iou[about == other]
    _set_iou_of_matches(matches, kind, about, iou)
    true, found_by = _of_objects(matches, kind, about, is_kept)
    return Outcomes(kind, about, iou, is_kept, true, found_by)


def costs(matches: Matches) -> dict[Outcome, float]:
    """What AP at IoU 0.50 would gain if one kind of error were mended, all others left: TIDE's dAP.

    Mending gives a detection its right class or mask, and drops it where the object is found already, or a better
    one is mended for it; duplicates, background and what is wrong in both ways are dropped; objects that were missed no
    longer have to be found. AP is a property of the whole ranking, so all scores count.

    Returns:
        The gain for each of `ERRORS`, 0 to 1; NaN where there is no object at all.
    """
    told = outcomes(matches)
    category, is_true = matches.found.category, matches.is_true[0]
    everything = np.ones(len(category), dtype=bool)
    is_missed = told.true == Outcome.MISSED
    before = _mean_ap(matches, category, is_true, everything)
    gains = {}
    for error in ERRORS:
        is_error = told.detection == error
        if error is Outcome.MISSED:
            after = _mean_ap(matches, category, is_true, everything, is_missed)
        elif error in (Outcome.WRONG_CLASS, Outcome.POOR_MASK):
            objects = told.about[is_error]
            mended, is_open = category.copy(), is_error.copy()
            mended[is_error] = matches.true_category[objects]
            is_open[is_error] = told.true[objects] != Outcome.CORRECT
            is_first = _first_of_each(np.where(is_open, told.about, NOTHING))
            kept = ~is_error | is_first
            after = _mean_ap(matches, mended, is_true | is_first, kept)
        else:
            after = _mean_ap(matches, category, is_true, ~is_error)
        gains[error] = after - before
    return gains


def _best(
    matches: Matches, *, of_its_class: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The object, of the class of each detection or of another, that it overlaps most, and the IoU."""
    overlaps, count = matches.overlaps, len(matches.found)
    is_same = (
        matches.true_category[overlaps.true]
        == matches.found.category[overlaps.detection]
    )
    chosen = (is_same == of_its_class) & ~matches.is_crowd[overlaps.true]
    detection, true = overlaps.detection[chosen], overlaps.true[chosen]
    iou = overlaps.iou[chosen]
    best = np.full(count, NOTHING, dtype=np.int64)
    best_iou = np.zeros(count)
    order = np.lexsort(
        (iou, detection)
    )  # the highest IoU of each comes last, and stays
    best[detection[order]] = true[order]
    best_iou[detection[order]] = iou[order]
    return best, best_iou


def _set_iou_of_matches(
    matches: Matches,
    kind: NDArray[np.int64],
    about: NDArray[np.int64],
    iou: NDArray[np.float64],
) -> None:
    """Sets the IoU of matched detections, whose object need not be the one that they overlap most."""
    overlaps = matches.overlaps
    is_pair = about[overlaps.detection] == overlaps.true
    is_match = np.isin(kind, (Outcome.CORRECT, Outcome.IN_CROWD))
    chosen = is_pair & is_match[overlaps.detection]
    iou[overlaps.detection[chosen]] = overlaps.iou[chosen]


def _of_objects(
    matches: Matches,
    kind: NDArray[np.int64],
    about: NDArray[np.int64],
    is_kept: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The outcome of each object, and the detection that decides it."""
    count = len(matches.truth.objects)
    true = np.full(count, Outcome.MISSED, dtype=np.int64)
    found_by = np.full(count, NOTHING, dtype=np.int64)
    for outcomes_of_one_weight in (
        (Outcome.WRONG_CLASS, Outcome.POOR_MASK),
        (Outcome.CORRECT,),
    ):
        chosen = np.flatnonzero(is_kept & np.isin(kind, outcomes_of_one_weight))
        worst_first = chosen[::-1]  # the best one comes last, and stays
        true[about[worst_first]] = kind[worst_first]
        found_by[about[worst_first]] = worst_first
    true[matches.is_crowd] = Outcome.IN_CROWD
    found_by[matches.is_crowd] = NOTHING
    return true, found_by


def _first_of_each(objects: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) whether a detection is the first, so the best, of those with its object."""
    is_first = np.zeros(len(objects), dtype=bool)
    values, first = np.unique(objects, return_index=True)
    is_first[first[values != NOTHING]] = True
    return is_first


def _mean_ap(
    matches: Matches,
    category: NDArray[np.int64],
    is_true: NDArray[np.bool_],
    is_there: NDArray[np.bool_],
    left_out: NDArray[np.bool_] | None = None,
) -> float:
    """AP at IoU 0.50, the mean over classes, of detections that were mended.

    Args:
        matches: For images and objects.
        category: (N,) the class of each detection.
        is_true: (N,) whether it has found an object.
        is_there: (N,) which detections there are.
        left_out: (G,) objects that need not be found.
    """
    is_false = ~is_true & ~matches.is_ignored[0]
    images = len(matches.truth.image_names)
    values = []
    for number in range(1, len(matches.truth.classes) + 1):
        chosen = is_there & (category == number)
        objects = matches.objects_per_image(number)
        if left_out is not None:
            missed = matches.true_image[left_out & (matches.true_category == number)]
            objects = objects - np.bincount(missed - 1, minlength=images)
        ranking = Ranking(
            matches.found.image[chosen] - 1, is_true[chosen], is_false[chosen], objects
        )
        values.append(average_precision(ranking, ranking.weights)[0])
    given = [value for value in values if not np.isnan(value)]
    return float(np.mean(given)) if given else float("nan")
