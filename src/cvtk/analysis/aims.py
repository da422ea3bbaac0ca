"""What a score to cut at is chosen for: the best F1, a recall or a precision to reach, or right counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.matching import Matches
from cvtk.options import AIM

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Aim:
    """What a score is chosen for.

    Attributes:
        kind: The highest F1; the highest score that reaches a recall; the lowest that reaches a precision; or
            counts per image that are nearest to the true ones.
        least: The recall or precision to reach, 0 to 1.
    """

    kind: Literal["f1", "recall", "precision", "count"] = "f1"
    least: float = 0.0

    @property
    def words(self) -> str:
        """Which score it is, to follow "The score of each class is"."""
        return {
            "f1": "the one with the best F1",
            "recall": f"the highest one that finds {self.least:.4g} of the objects",
            "precision": f"the lowest one from which {self.least:.4g} of the predictions are right",
            "count": "the one whose counts per image are nearest to the true ones",
        }[self.kind]


def read_aim(text: str) -> Aim:
    """An aim from what a user wrote: `f1`, `count`, `recall=0.95` or `precision=0.9`.

    Raises:
        ValueError: It is none of them.
    """
    if AIM.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no aim")
    kind, _, least = text.partition("=")
    return Aim(kind, float(least or 0))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Cut:
    """A score to cut at.

    Attributes:
        score: 0 to 1.
        is_reached: Whether the recall or precision to reach is reached.
    """

    score: float
    is_reached: bool


def best_cut(matches: Matches, category: int | None, aim: Aim) -> Cut | None:
    """The score that serves an aim best at IoU 0.50; the highest of several that serve it equally well.

    Where a recall or precision cannot be reached, it is the score that comes nearest.

    Args:
        matches: Detections matched with objects.
        category: The number of a class, from 1; None for all classes together.
        aim: What for.

    Returns:
        None where no detection has found anything.
    """
    is_counted, is_object = ~matches.is_ignored[0], ~matches.is_crowd
    if category is not None:
        is_counted &= matches.found.category == category
        is_object &= matches.true_category == category
    counted, objects = np.flatnonzero(is_counted), int(is_object.sum())
    score, hit = matches.found.score[counted], matches.is_true[0, counted]
    if not hit.any():
        return None
    # A cut takes all detections of a score, or none of them.
    last_of_score = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    hits, kept = np.cumsum(hit)[last_of_score], last_of_score + 1
    if aim.kind == "count":
        off = np.cumsum(_changes_of_count(matches, counted))[last_of_score]
        return Cut(float(score[last_of_score[np.argmin(off)]]), True)
    if aim.kind == "f1":
        place = int(np.argmax(2 * hits / (kept + objects)))
        return Cut(float(score[last_of_score[place]]), True)
    if aim.kind == "recall":
        enough = np.flatnonzero(hits / objects >= aim.least - _ROUNDING)
        place = int(enough[0]) if len(enough) else int(np.argmax(hits))
    else:
        precision = hits / kept
        enough = np.flatnonzero(precision >= aim.least - _ROUNDING)
        place = int(enough[-1]) if len(enough) else int(np.argmax(precision))
    return Cut(float(score[last_of_score[place]]), bool(len(enough)))


def _changes_of_count(
    matches: Matches, counted: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How each detection, best first, changes the sum of |predicted - true| over images and classes.

    As long as there are fewer detections than objects, one more brings the count nearer; then, further away.

    Args:
        matches: Detections matched with objects.
        counted: (M,) the detections to look at.
    """
    images, classes = len(matches.truth.image_names), len(matches.truth.classes)
    objects = np.zeros((classes + 1, images + 1), dtype=np.int64)
    for number in range(1, classes + 1):
        objects[number, 1:] = matches.objects_per_image(number)
    changes = np.empty(len(counted), dtype=np.int64)
    columns = (matches.found.category[counted], matches.found.image[counted])
    for index, (category, image) in enumerate(zip(*columns, strict=True)):
        changes[index] = -1 if objects[category, image] > 0 else 1
        objects[category, image] -= 1
    return changes
