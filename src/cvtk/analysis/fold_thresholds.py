"""The scores to cut at of a cross-validation: each fold has its own, never chosen on the images that it is tested on."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.aims import Aim
from cvtk.analysis.matching import Matches
from cvtk.analysis.study import matches_of
from cvtk.analysis.thresholds import DEFAULT_SCORE, Thresholds, choose_thresholds
from cvtk.data import Dataset
from cvtk.data.types import Id
from cvtk.metrics.detections import Kind
from cvtk.words import enumerated

FoldScores: TypeAlias = tuple[Sequence[Id], Mapping[str, float]]
"""Of a fold the ids of the images that it is tested on, and its scores by class name."""


@dataclass(frozen=True)
class FoldThresholds(Thresholds):
    """Scores that differ from fold to fold; `by_class` and `common` are means over the folds.

    Attributes:
        folds: One for each fold.
    """

    folds: Sequence[FoldScores] = field(default_factory=list)

    def is_kept(self, matches: Matches) -> NDArray[np.bool_]:
        """(N,) which detections reach the score of their class in the fold that their image is tested in."""
        kept, numbers = super().is_kept(matches), matches.truth.image_numbers
        for ids, by_class in self.folds:
            own = Thresholds(dict(by_class), 0.0, []).is_kept(matches)
            inside = np.isin(matches.found.image, [numbers.get(id_, 0) for id_ in ids])
            kept[inside] = own[inside]
        return kept

    def text(self, name: str) -> str:
        """The scores of a class, from the lowest to the highest: `0.31 to 0.42`."""
        scores = [f"{by_class[name]:.2f}" for _, by_class in self.folds]
        low, high = min(scores), max(scores)
        return low if low == high else f"{low} to {high}"


def fold_thresholds(folds: Sequence[FoldScores], notes: list[str]) -> FoldThresholds:
    """The scores of all folds together.

    Args:
        folds: One for each fold, one or more, for the same classes.
        notes: Where they come from, as sentences.
    """
    names = folds[0][1]
    by_class = {name: statistics.mean(f[name] for _, f in folds) for name in names}
    common = statistics.mean(by_class.values()) if by_class else DEFAULT_SCORE
    return FoldThresholds(by_class, common, notes, folds=folds)


def choose_across_folds(
    dataset: Dataset,
    predictions: Sequence[Mapping[str, Any]],
    folds: Sequence[Sequence[Id]],
    kind: Kind,
    aim: Aim,
) -> FoldThresholds | None:
    """Chooses the scores of each fold on the predictions for the images of all others.

    So no score is chosen on the images that it is used on, and none of them is lost for a validation set.

    Args:
        dataset: All images.
        predictions: For all of them, each by a model that had not learned from the image.
        folds: The ids of the images that each fold is tested on.
        kind: Whether masks ("segm") or boxes ("bbox") are compared.
        aim: What for.

    Returns:
        None where nothing was found.
    """
    chosen: list[FoldScores] = []
    without = []
    for number, ids in enumerate(folds, 1):
        inside = set(ids)
        others = dataset.subset(i for i in dataset.images if i.id not in inside)
        found = [p for p in predictions if p["image_id"] not in inside]
        own = choose_thresholds(matches_of(others, found, kind), aim, draws=0)
        if not own.file:
            without.append(number)
        chosen.append((ids, own.by_class))
    if len(without) == len(folds):
        return None
    notes = [
        f"Each fold is cut at scores of its own: of each class {aim.words} in the predictions for the images of the"
        " other folds. None was chosen on the images that it is used on."
    ]
    return fold_thresholds(chosen, notes + without_scores(without))


def without_scores(folds: Sequence[int]) -> list[str]:
    """A sentence on folds for which no score could be chosen, if there are any."""
    if not folds:
        return []
    text = f"fold{'' if len(folds) == 1 else 's'} {enumerated([str(n) for n in folds])}"
    return [
        f"For {text} none could be chosen, since nothing was found: it is {DEFAULT_SCORE} there."
    ]
