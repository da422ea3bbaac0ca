"""The score to cut at: what is below it is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.matching import Matches

DEFAULT_SCORE = 0.3
"""Where none was chosen: what `inference` draws from."""

LEAST_OBJECTS = 20
"""With fewer objects of a class, its best score would be that of a few lucky detections."""


@dataclass(frozen=True)
class Thresholds:
    """Scores to cut at.

    Attributes:
        by_class: The lowest score that counts, 0 to 1, by class name.
        common: The same for all classes together.
        f1: What each reaches on the data that it was chosen on, by class name; empty where none was chosen.
        notes: Where they come from, as sentences.
    """

    by_class: dict[str, float]
    common: float
    f1: dict[str, float]
    notes: list[str]

    def is_kept(self, matches: Matches) -> NDArray[np.bool_]:
        """(N,) which detections reach the score of their class."""
        least = np.array([self.by_class[name] for name in matches.truth.classes])
        if not len(least):
            return np.zeros(len(matches.found), dtype=bool)
        return np.asarray(matches.found.score >= least[matches.found.category - 1])


def one_threshold(classes: list[str], score: float = DEFAULT_SCORE) -> Thresholds:
    """The same score for every class, chosen on no data."""
    note = f"Detections count from a score of {score:g} on, which was not fitted to any data."
    return Thresholds(dict.fromkeys(classes, score), score, {}, [note])


def choose_thresholds(
    matches: Matches, *, least_objects: int = LEAST_OBJECTS
) -> Thresholds:
    """The score for each class at which F1 is highest, at IoU 0.50.

    Choose it on the validation set. Chosen on the test set, it would make that set's metrics too good.

    Args:
        matches: Detections on the validation set, matched with its objects.
        least_objects: Classes with fewer objects get the common score, the best for all together.
    """
    truth = matches.truth
    everything = np.ones(len(matches.found), dtype=bool)
    objects = {
        name: int(matches.objects_per_image(number).sum())
        for number, name in enumerate(truth.classes, 1)
    }
    total = sum(objects.values())
    common, common_f1 = best_f1(matches, everything, total)
    by_class, f1, few = {}, {}, []
    for name in truth.class_order:
        chosen = matches.found.category == truth.classes.index(name) + 1
        by_class[name], f1[name] = best_f1(matches, chosen, objects[name])
        if objects[name] < least_objects:
            few.append(f"{name} ({objects[name]})")
            by_class[name] = common
            f1[name] = f1_at(matches, chosen, objects[name], common)
    notes = [
        f"The score of each class is the one with the best F1 on {truth.file}, which has {total} objects;"
        f" the best for all classes together is {common:.2f} (F1 {common_f1:.2f})."
    ]
    if few:
        notes.append(
            f"With fewer than {least_objects} objects there, these classes get the common score: {', '.join(few)}."
        )
    return Thresholds(by_class, common, f1, notes)


def best_f1(
    matches: Matches, chosen: NDArray[np.bool_], objects: int
) -> tuple[float, float]:
    """The score to cut at with the highest F1, and that F1; the highest such score of several.

    Args:
        matches: Detections matched with objects.
        chosen: (N,) the detections to look at, such as those of a class.
        objects: How many objects they should find.

    Returns:
        Score and F1, both 0 to 1; the default score where nothing can be found.
    """
    chosen = chosen & ~matches.is_ignored[0]
    score, hit = matches.found.score[chosen], matches.is_true[0, chosen]
    if not objects or not hit.any():
        return DEFAULT_SCORE, 0.0
    f1 = 2 * np.cumsum(hit) / (np.arange(1, len(hit) + 1) + objects)
    # A cut takes all detections of a score, or none of them.
    is_last_of_score = np.append(score[1:] != score[:-1], True)
    places = np.flatnonzero(is_last_of_score)
    best = places[np.argmax(f1[places])]
    return float(score[best]), float(f1[best])


def f1_at(
    matches: Matches, chosen: NDArray[np.bool_], objects: int, score: float
) -> float:
    """F1 of the chosen detections from a score on; 0 where there is neither object nor detection."""
    kept = chosen & (matches.found.score >= score) & ~matches.is_ignored[0]
    hits = int(matches.is_true[0, kept].sum())
    together = int(kept.sum()) + objects
    return 2 * hits / together if together else 0.0
