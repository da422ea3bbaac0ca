"""How sure a metric is: 95% intervals by a bootstrap over images.

Images are drawn with replacement, and each metric is computed on every draw. Objects of one image are not
independent of each other, so images are drawn and not objects. For the same reason images that belong together (of
one plant, or near-duplicates) are drawn together: a cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and
their Application", 1997, section 3.8). All draws come from one evaluation: a draw is a weight per image.

The interval is the normal one with the draws' standard deviation, corrected for their bias (Efron and Tibshirani,
"An Introduction to the Bootstrap", 1993, chapters 10 and 12), and widened for few images as Hesterberg advises ("What
Teachers Should Know About the Bootstrap", The American Statistician, 2015). The better known percentile interval
held the true AP in fewer than 90 of 100 simulated tests with 60 images: a draw repeats images, which makes the
envelope of the precision too high, and it adds that to the same bias of the AP itself (benchmarks/intervals.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.matching import Matches
from cvtk.analysis.ranking import Ranking, Weights, average_precisions, recall
from cvtk.metrics.arrays import IOU_THRESHOLDS
from cvtk.words import counted

DRAWS = 1000
FEW_IMAGES = 30

# How many numbers a step of the arithmetic holds at once: 64 MB as integers of 32 bits.
_STEP = 2**24

_NORMAL = 1.959964
"""The quantile of the normal distribution between whose two signs 95% lie."""


@dataclass(frozen=True)
class Interval:
    """A metric and its 95% interval; NaN where there is nothing to measure or to draw from."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Metrics with their intervals.

    Attributes:
        overall: By the name of the metric: AP and AR are means over the classes; precision, recall and F1
            are of all objects together.
        by_class: The same for each class, by its name.
        note: What a reader should know of them, as a sentence.
        groups: From how many groups of images that belong together they come; an image alone is one.
    """

    overall: dict[str, Interval]
    by_class: dict[str, dict[str, Interval]]
    note: str
    groups: int


Values: TypeAlias = dict[str, NDArray[np.float64]]
"""By the name of the metric: (B,) its values on the data set, which comes first, and on each draw."""


@dataclass(frozen=True)
class Drawn:
    """Metrics on the data set and on draws of its images.

    Attributes:
        overall: As in `Intervals`.
        by_class: The same for each class, by its name, in the order of the file.
    """

    overall: Values
    by_class: dict[str, Values]


def intervals(
    matches: Matches,
    is_kept: NDArray[np.bool_],
    *,
    limit: int = 100,
    draws: int = DRAWS,
    seed: int = 0,
) -> Intervals:
    """The metrics of an evaluation with their 95% intervals.

    Args:
        matches: Detections matched with objects.
        is_kept: (N,) the detections that reach the score at which precision, recall and F1 are taken.
        limit: How many detections per image and class the headline AP counts.
        draws: How often images are drawn.
        seed: Of the draws: the same gives the same intervals.
    """
    groups = matches.truth.groups
    weights = draw_images(groups, draws, seed)
    drawn = draw_metrics(matches, is_kept, weights, limit)
    units = len(np.unique(groups))
    return Intervals(
        overall=_intervals_of(drawn.overall, units),
        by_class={
            name: _intervals_of(values, units)
            for name, values in drawn.by_class.items()
        },
        note=_note(len(groups), units, draws),
        groups=units,
    )


def draw_images(
    groups: NDArray[np.int64],
    draws: int,
    seed: int = 0,
    chosen: NDArray[np.bool_] | None = None,
) -> Weights:
    """Draws groups of images with replacement.

    Args:
        groups: (images,) the group of each image, as `GroundTruth.groups` has them.
        draws: How often as many groups as there are are drawn.
        seed: The same gives the same draws.
        chosen: (images,) which images there are to draw from; all where left out.

    Returns:
        (1 + draws, images) how often each image counts. The first row is the chosen images as they are.
    """
    chosen = np.ones(len(groups), dtype=bool) if chosen is None else chosen
    found, group = np.unique(groups[chosen], return_inverse=True)
    count = len(found)
    weights = np.zeros((1 + draws, len(groups)), dtype=np.int32)
    weights[0, chosen] = 1
    if count:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
        weights[1:, chosen] = drawn[:, group]
    return weights


def draw_metrics(
    matches: Matches,
    is_kept: NDArray[np.bool_],
    weights: Weights,
    limit: int | None = None,
) -> Drawn:
    """The metrics of an evaluation on each weighting of its images.

    Args:
        matches: Detections matched with objects.
        is_kept: (N,) the detections that reach the score at which precision, recall and F1 are taken.
        weights: (B, images) as `draw_images` gives them.
        limit: How many detections per image and class the headline AP counts; None leaves AP and AR out.
    """
    by_class: dict[str, Values] = {}
    counts = []
    for number, name in enumerate(matches.truth.classes, 1):
        count = _counts(matches, number, weights, is_kept)
        counts.append(count)
        by_class[name] = {}
        if limit is not None:
            by_class[name] |= _ranked_metrics(matches, number, weights, limit)
        by_class[name] |= _at_a_score(*count)
    overall: Values = {}
    if by_class:
        overall = {
            name: _mean_over_classes([values[name] for values in by_class.values()])
            for name in next(iter(by_class.values()))
        }
        overall |= _at_a_score(*np.sum(counts, axis=0))
    return Drawn(overall, {name: by_class[name] for name in matches.truth.class_order})


def _intervals_of(values: Values, units: int) -> dict[str, Interval]:
    return {name: interval_of(drawn, units) for name, drawn in values.items()}


def _ranked_metrics(
    matches: Matches, category: int, weights: Weights, limit: int
) -> dict[str, NDArray[np.float64]]:
    """(B,) AP and AR of a class, by their names."""
    size = max(1, int((matches.found.category == category).sum()), weights.shape[1])
    rows = max(1, _STEP // size)
    parts = [
        _ranked_metrics_of_some(matches, category, weights[first : first + rows], limit)
        for first in range(0, len(weights), rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ranked_metrics_of_some(
    matches: Matches, category: int, weights: Weights, limit: int
) -> dict[str, NDArray[np.float64]]:
    is_drawn = np.asarray(weights.any(axis=0))
    headline = list(_rankings(matches, category, limit, is_drawn))
    all_counted = list(_rankings(matches, category, None, is_drawn))
    ap50, ap75 = (all_counted[level] for level in _levels(0.5, 0.75))
    *ap, value50, value75 = average_precisions([*headline, ap50, ap75], weights)
    ar = [recall(ranking, weights) for ranking in headline]
    return {
        "AP": np.mean(ap, axis=0),
        "AP50": value50,
        "AP75": value75,
        "AR": np.mean(ar, axis=0),
    }


def _levels(*ious: float) -> Iterator[int]:
    for iou in ious:
        yield int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))[0])


def _rankings(
    matches: Matches, category: int, limit: int | None, is_drawn: NDArray[np.bool_]
) -> Iterator[Ranking]:
    """The ranking of a class at each IoU, of the detections below a limit per image, in the images drawn."""
    chosen = matches.found.category == category
    chosen &= is_drawn[matches.found.image - 1]
    if limit is not None:
        chosen &= matches.rank < limit
    image, objects = (
        matches.found.image[chosen] - 1,
        matches.objects_per_image(category),
    )
    is_true, is_ignored = matches.is_true[:, chosen], matches.is_ignored[:, chosen]
    for hit, ignored in zip(is_true, is_ignored, strict=True):
        yield Ranking(image, hit, ~hit & ~ignored, objects)


def _counts(
    matches: Matches, category: int, weights: Weights, is_kept: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(3, B) how many objects were found, how many detections are false, and how many objects there are."""
    chosen = (matches.found.category == category) & is_kept
    hit = matches.is_true[0, chosen]
    false = ~hit & ~matches.is_ignored[0, chosen]
    image, images = matches.found.image[chosen] - 1, weights.shape[1]
    per_image = (
        np.bincount(image[hit], minlength=images),
        np.bincount(image[false], minlength=images),
        matches.objects_per_image(category),
    )
    return np.array([weights @ values for values in per_image])


def _at_a_score(
    true: NDArray[np.int64], false: NDArray[np.int64], objects: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """(B,) precision, recall and F1; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore"):
        return {
            "precision": true / (true + false),
            "recall": true / objects,
            "F1": 2 * true / (true + false + objects),
        }


def _mean_over_classes(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(B,) the mean over the classes that have objects, as COCO takes it."""
    table = np.array(values)
    is_there = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.where(is_there, table, 0).sum(axis=0) / is_there.sum(axis=0)
        )


def interval_of(
    values: NDArray[np.float64], units: int, least: float = 0.0
) -> Interval:
    """The value of the data set, which comes first, and its interval from the draws.

    Args:
        values: (B,) of the data set and of each draw.
        units: How many groups of images there were to draw from; an image alone is one.
        least: The lowest value that there can be: 0 for a metric, -1 for the difference of two. The highest is 1.
    """
    value, drawn = float(values[0]), values[1:]
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or len(drawn) < 2 or units < 2:
        return Interval(value, math.nan, math.nan)
    bias = float(drawn.mean()) - value
    margin = _margin(units) * float(drawn.std(ddof=1))
    low, high = value - bias - margin, value - bias + margin
    return Interval(value, max(least, min(low, value)), min(1.0, max(high, value)))


def _margin(units: int) -> float:
    """How many standard deviations of the draws an interval reaches to either side.

    The quantile of the t distribution (Abramowitz and Stegun, 26.7.5), and that the spread of draws from n
    is too small by sqrt((n - 1) / n).
    """
    freedom = units - 1
    quantile = _NORMAL * (1 + (_NORMAL**2 + 1) / (4 * freedom))
    return quantile * math.sqrt(units / freedom)


def _note(images: int, units: int, draws: int) -> str:
    what = counted(units, "image" if units == images else "group")
    what += "" if units == images else " of images"
    text = (
        f"The 95% intervals come from {draws} random draws of {what}, with replacement: they say how far"
        " the metrics could be off because other images might have been tested, and nothing of other sites,"
        " seasons or cameras."
    )
    if units < images:
        text += (
            f" The {images} images are not independent of each other: those that look alike, or are noted as one"
            " group, are drawn together."
        )
    if units == 1 < images:
        text += " Here all are one group, from which no interval can be computed."
    elif units < FEW_IMAGES:
        text += f" From {what} they are rough, and rather too narrow than too wide."
    return text
