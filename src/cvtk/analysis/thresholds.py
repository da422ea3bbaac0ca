"""The score to cut at: what is below it is left out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.aims import Aim, best_cut
from cvtk.analysis.bootstrap import (
    DRAWS,
    Interval,
    draw_images,
    draw_metrics,
    interval_of,
)
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
        notes: Where they come from, as sentences.
        file: The annotations that they were chosen on; empty where they were not.
        sha256: Of that file, where it is known.
        reached: Precision, recall and F1 there, with their 95% intervals, by class name; those of all objects
            together under the empty name.
    """

    by_class: dict[str, float]
    common: float
    notes: list[str]
    file: str = ""
    sha256: str = ""
    reached: dict[str, dict[str, Interval]] = field(default_factory=dict)

    def is_kept(self, matches: Matches) -> NDArray[np.bool_]:
        """(N,) which detections reach the score of their class."""
        least = np.array([self.by_class[name] for name in matches.truth.classes])
        if not len(least):
            return np.zeros(len(matches.found), dtype=bool)
        return np.asarray(matches.found.score >= least[matches.found.category - 1])

    def text(self, name: str) -> str:
        """The score of a class: `0.42`."""
        return f"{self.by_class[name]:.2f}"

    def words(self, most: int = 6) -> str:
        """The scores on one line: `flower 0.42, fruit 0.35`; of many classes the range."""
        scores = self.by_class.values()
        if len(self.by_class) > most:
            return f"{min(scores):.2f} to {max(scores):.2f}, by class"
        return ", ".join(f"{name} {self.text(name)}" for name in self.by_class)

    def to_plain(self) -> dict[str, Any]:
        """Everything as texts, numbers, lists and dictionaries, for JSON and checkpoints; NaN is None."""
        plain: dict[str, Any] = asdict(self)
        for metrics in plain["reached"].values():
            for interval in metrics.values():
                interval.update(
                    {k: None if math.isnan(v) else v for k, v in interval.items()}
                )
        return plain


def from_plain(plain: Any, classes: list[str]) -> Thresholds:
    """What `Thresholds.to_plain` gave, checked: it comes out of a file.

    Args:
        plain: Anything.
        classes: The names for which there must be scores.

    Raises:
        ValueError: It is not that, or of other classes.
    """
    try:
        by_class = {name: _score(plain["by_class"][name]) for name in classes}
        reached = {
            str(name): {
                str(metric): Interval(**{k: _number(v) for k, v in values.items()})
                for metric, values in metrics.items()
            }
            for name, metrics in dict(plain["reached"]).items()
        }
        return Thresholds(
            by_class=by_class,
            common=_score(plain["common"]),
            notes=[str(note) for note in plain["notes"]],
            file=str(plain["file"]),
            sha256=str(plain["sha256"]),
            reached=reached,
        )
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"no scores to cut at: {error}") from None


def _score(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r:.40} is no score")
    return float(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def one_threshold(classes: list[str], score: float = DEFAULT_SCORE) -> Thresholds:
    """The same score for every class, chosen on no data."""
    note = f"Detections count from a score of {score:g} on, which was not fitted to any data."
    return Thresholds(dict.fromkeys(classes, score), score, [note])


def choose_thresholds(
    matches: Matches,
    aim: Aim | None = None,
    *,
    least_objects: int = LEAST_OBJECTS,
    draws: int = DRAWS,
) -> Thresholds:
    """The score for each class that serves an aim best, at IoU 0.50.

    Choose it on the validation set. Chosen on the test set, it would make that set's metrics too good.

    Args:
        matches: Detections on the validation set, matched with its objects.
        aim: What for; the highest F1 where left out.
        least_objects: Classes with fewer objects get the common score, the best for all together.
        draws: How often images are drawn for the intervals of what is reached.

    Returns:
        The scores; the default one, and no `file`, where no detection has found anything.
    """
    aim, truth = aim or Aim(), matches.truth
    best = best_cut(matches, None, aim)
    if best is None:
        note = f"No prediction finds an object of {truth.file}, so that no score can be chosen: it is {DEFAULT_SCORE}."
        return replace(one_threshold(truth.class_order), notes=[note])
    common = best.score
    by_class: dict[str, float] = {}
    few, none, short = [], [], []
    for name in truth.class_order:
        number = truth.classes.index(name) + 1
        objects = int(matches.objects_per_image(number).sum())
        cut = best_cut(matches, number, aim)
        by_class[name] = common
        if objects < least_objects:
            few.append(f"{name} ({objects})")
        elif cut is None:
            none.append(name)
        else:
            by_class[name] = cut.score
            short += [name] if not cut.is_reached else []
    chosen = Thresholds(by_class, common, [], truth.file)
    reached = _reached(matches, chosen.is_kept(matches), draws)
    chosen.reached.update(reached)
    chosen.notes.extend(_notes(matches, aim, chosen))
    exceptions = (
        (f"Fewer than {least_objects} objects there, so the common score", few),
        ("Nothing found there, so the common score", none),
        ("No score reaches that, so the one that comes nearest", short),
    )
    chosen.notes.extend(
        f"{reason}: {', '.join(names)}." for reason, names in exceptions if names
    )
    return chosen


def _reached(
    matches: Matches, is_kept: NDArray[np.bool_], draws: int
) -> dict[str, dict[str, Interval]]:
    """Precision, recall and F1, those of all objects under the empty name."""
    groups = matches.truth.groups
    drawn = draw_metrics(matches, is_kept, draw_images(groups, draws))
    units = len(np.unique(groups))
    return {
        name: {metric: interval_of(v, units) for metric, v in values.items()}
        for name, values in {"": drawn.overall, **drawn.by_class}.items()
    }


def _notes(matches: Matches, aim: Aim, chosen: Thresholds) -> list[str]:
    """Where the scores come from, and what they give there."""
    total = int((~matches.is_crowd).sum())
    notes = [
        f"The score to cut at of each class is {aim.words} on {chosen.file}, which has {total} objects;"
        f" for all classes together it is {chosen.common:.2f}."
    ]
    told = chosen.reached[""]
    values = [
        f"{name} {told[name].value:.2f}{_range(told[name])}"
        for name in ("F1", "precision", "recall")
    ]
    notes.append(
        f"There they give {', '.join(values)}: a little too good, since they were chosen there."
    )
    return notes


def _range(interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return f" ({interval.low:.2f} to {interval.high:.2f})"
