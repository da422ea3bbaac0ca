"""What more images would bring: AP of trainings on parts of the images, and a curve through them.

The error 1 - AP is taken to fall as a power of the number of images, which is a straight line where both are drawn as
logarithms: the form that Hestness et al. found in many fields ("Deep Learning Scaling is Predictable, Empirically",
2017, arXiv:1712.00409). It has two parameters, which is what three points can bear. Real curves flatten where labels
are inexact (their "irreducible error"), so what it promises is rather too much than too little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.bootstrap import Interval, interval_of
from cvtk.data.csv_files import Row
from cvtk.words import counted

LEAST_AP = 0.01
"""Below, a model has learned nothing yet, and its errors say nothing of more images."""

_LEAST_ERROR = 1e-6


@dataclass(frozen=True)
class Point:
    """Trainings on equally many images.

    Attributes:
        images: How many they learned from; the mean, where folds differ.
        ap: The mean of their AP, with its 95% interval.
        by_seed: The AP of each seed.
    """

    images: float
    ap: Interval
    by_seed: list[float]


@dataclass(frozen=True)
class LearningCurve:
    """AP by the number of images, and what twice as many would bring.

    Attributes:
        points: The fewest images first.
        gain: In AP, from the curve at all images to the curve at twice as many.
        error: Two numbers a, b of the curve: AP = 1 - exp(a + b ln(images)).
        tested: On how many images AP was computed.
        units: How many groups of images these are; an image alone is one.
    """

    points: list[Point]
    gain: Interval
    error: tuple[float, float]
    tested: int
    units: int

    def at(self, images: float) -> float:
        """AP of the curve."""
        a, b = self.error
        return 1 - math.exp(a + b * math.log(images))

    @property
    def sentence(self) -> str:
        """What twice as many images would bring, and how sure that is."""
        first, last = self.points[0], self.points[-1]
        twice = f"Twice as many images to learn from ({2 * last.images:.0f})"
        if math.isnan(self.gain.value):
            return (
                f"{twice}: nothing can be said, since there is no object to be found."
            )
        if last.ap.value < LEAST_AP:
            return (
                f"{twice}: nothing can be said, since the model has hardly learned anything yet"
                f" (AP {last.ap.value:.3f}). Train it longer, or from other weights."
            )
        if math.isnan(self.gain.low):
            text = f"{twice} would change AP by {self.gain.value:+.3f}; on {self._tested}, how sure that is"
            return f"{text} cannot be said."
        interval = f"95% interval {self.gain.low:+.3f} to {self.gain.high:+.3f}"
        if len(last.by_seed) == 1:
            interval += ", which counts the choice of test images alone"
        if self.gain.low > 0:
            text = f"{twice} would bring about {self.gain.value:+.3f} AP ({interval})"
        elif self.gain.high < 0:
            text = (
                f"{twice} would not help: AP fell with more images ({self.gain.value:+.3f} when doubled,"
                f" {interval}). More epochs or another seed may show another picture"
            )
        else:
            text = (
                f"Whether twice as many images ({2 * last.images:.0f}) would help cannot be told from these"
                f" trainings: AP would change by {self.gain.value:+.3f} ({interval})"
            )
        return f"{text}, if errors go on as they did from {first.images:.0f} to {last.images:.0f} images."

    @property
    def caveat(self) -> str:
        """How little three points say."""
        seeds = len(self.points[-1].by_seed)
        text = (
            f"This is a line through {len(self.points)} points: the logarithm of 1 - AP over that of the number of"
            f" images (Hestness et al. 2017, arXiv:1712.00409), tested on {self._tested}. So few points cannot tell"
            " whether the curve has this form. "
        )
        if seeds > 1:
            text += (
                f"Its interval counts which images were tested, and the {seeds} seeds."
            )
        else:
            text += (
                "Its interval counts which images were tested, not how much another training, or another choice"
                " of the images to learn from, would differ: --seeds 3 adds that."
            )
        return (
            f"{text} Real curves flatten, so expect rather less; and it holds for images like these, not for other"
            " sites or seasons."
        )

    @property
    def _tested(self) -> str:
        text = counted(self.tested, "image")
        if self.units < self.tested:
            text += f" of {counted(self.units, 'group')}"
        return text

    def rows(self) -> Iterator[Row]:
        """One row per number of images, and one for twice as many."""
        for point in self.points:
            yield {
                "images": round(point.images, 1),
                "measured": "yes",
                "AP": point.ap.value,
                "low": point.ap.low,
                "high": point.ap.high,
                "curve": self.at(point.images),
            }
        yield {
            "images": round(2 * self.points[-1].images, 1),
            "measured": "no",
            "AP": math.nan,
            "low": math.nan,
            "high": math.nan,
            "curve": self.at(2 * self.points[-1].images),
        }


def learning_curve(
    images: Sequence[float],
    drawn: Sequence[Sequence[NDArray[np.float64]]],
    tested: int,
    units: int | None = None,
    *,
    seed: int = 0,
) -> LearningCurve:
    """A curve through the AP of trainings on parts of the images, drawn anew for each draw of the test images.

    Args:
        images: How many each part has, ascending; two parts or more.
        drawn: For each part and seed (1 + B,) AP on the test images as they are, and on each draw of them. With
            several seeds, these are drawn with replacement too.
        tested: How many test images there are.
        units: How many groups of images these are; as many as images where left out.
        seed: Of the draws of seeds.
    """
    units = tested if units is None else units
    rng = np.random.default_rng(seed)
    values = np.stack([_over_seeds(np.stack(part), rng) for part in drawn])
    intercept, slope = _fit(np.log(images), values)
    most = math.log(images[-1])
    ends = [1 - np.exp(intercept + slope * x) for x in (most, most + math.log(2))]
    return LearningCurve(
        points=[
            Point(count, interval_of(row, units), [float(v[0]) for v in part])
            for count, row, part in zip(images, values, drawn, strict=True)
        ],
        gain=interval_of(ends[1] - ends[0], units, least=-1.0),
        error=(float(intercept[0]), float(slope[0])),
        tested=tested,
        units=units,
    )


def _over_seeds(
    values: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(1 + B,) the mean over the seeds; of each draw, that over seeds that are drawn with replacement.

    Args:
        values: (seeds, 1 + B) AP.
        rng: Draws them.
    """
    seeds, columns = values.shape
    chosen = rng.integers(seeds, size=(seeds, columns))
    chosen[:, 0] = np.arange(seeds)
    return np.asarray(np.take_along_axis(values, chosen, axis=0).mean(axis=0))


def _fit(
    x: NDArray[np.float64], ap: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B,) intercept and slope of ln(1 - AP) over x by least squares.

    Args:
        x: (parts,) the logarithm of the numbers of images.
        ap: (parts, B).
    """
    y = np.log(np.maximum(1 - ap, _LEAST_ERROR))
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    return y.mean(axis=0) - slope * x.mean(), slope
