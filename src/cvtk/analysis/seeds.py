"""The same training with several seeds: the mean of each metric, and how much chance in the training changes it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cvtk.analysis.bootstrap import Drawn, Interval, Values, interval_of
from cvtk.analysis.tables import without_nan
from cvtk.data.csv_files import Row
from cvtk.tables import table


@dataclass(frozen=True)
class Spread:
    """A metric of several trainings.

    Attributes:
        mean: Over the trainings, with its 95% interval over the images.
        deviation: The standard deviation between the trainings; NaN where a value is not defined.
        values: Of each training.
    """

    mean: Interval
    deviation: float
    values: list[float]


@dataclass(frozen=True)
class Seeds:
    """All metrics of several trainings.

    Attributes:
        seeds: Of the trainings.
        overall: By the name of the metric.
        by_class: The same for each class, by its name.
    """

    seeds: list[int]
    overall: dict[str, Spread]
    by_class: dict[str, dict[str, Spread]]

    @property
    def sentence(self) -> str:
        """What there is to say of AP."""
        told = self.overall["AP"]
        text = (
            f"AP of {len(self.seeds)} seeds is {told.mean.value:.3f} on average, with a standard deviation of"
            f" {told.deviation:.3f} between them."
        )
        if not math.isnan(told.mean.low):
            text += (
                f" Other test images would have changed the average too: 95% interval {told.mean.low:.3f} to"
                f" {told.mean.high:.3f}."
            )
        return text

    def rows(self) -> Iterator[Row]:
        """One row per class and metric; the class is empty for all together."""
        for label, metrics in (("", self.overall), *self.by_class.items()):
            for name, told in metrics.items():
                yield {
                    "class": label,
                    "metric": name,
                    "mean": told.mean.value,
                    "low": told.mean.low,
                    "high": told.mean.high,
                    "standard_deviation": told.deviation,
                    **{
                        f"seed {seed}": value
                        for seed, value in zip(self.seeds, told.values, strict=True)
                    },
                }

    def to_plain(self) -> dict[str, Any]:
        """For JSON; what is not defined is None."""

        def plain(metrics: Mapping[str, Spread]) -> dict[str, Any]:
            return {name: without_nan(asdict(told)) for name, told in metrics.items()}

        return {
            "seeds": self.seeds,
            "stats": plain(self.overall),
            "class_stats": {name: plain(m) for name, m in self.by_class.items()},
        }

    def lines(self) -> list[list[str]]:
        """The table to read: its header, then all metrics of all classes together."""
        header = ["metric", "mean", "deviation"]
        header += [f"seed {seed}" for seed in self.seeds]
        rows = [
            [
                name,
                *(f"{v:.3f}" for v in (told.mean.value, told.deviation, *told.values)),
            ]
            for name, told in self.overall.items()
        ]
        return [header, *rows]

    def __str__(self) -> str:
        header, *rows = self.lines()
        return table(rows, header, right=range(1, len(header)))


def spread_over_seeds(
    seeds: Sequence[int], drawn: Sequence[Drawn], units: int
) -> Seeds:
    """The mean of each metric, and its standard deviation.

    Args:
        seeds: Of the trainings, two or more.
        drawn: The metrics of each on the same draws of images.
        units: How many groups of images there were to draw from; an image alone is one.
    """
    return Seeds(
        seeds=list(seeds),
        overall=_spreads([part.overall for part in drawn], units),
        by_class={
            name: _spreads([part.by_class[name] for part in drawn], units)
            for name in drawn[0].by_class
        },
    )


def _spreads(parts: Sequence[Values], units: int) -> dict[str, Spread]:
    found = {}
    for name in parts[0]:
        values = [float(part[name][0]) for part in parts]
        is_defined = not any(math.isnan(value) for value in values)
        found[name] = Spread(
            mean=interval_of(np.mean([part[name] for part in parts], axis=0), units),
            deviation=statistics.stdev(values) if is_defined else math.nan,
            values=values,
        )
    return found
