"""Which figures an evaluation has, for the report and as files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvtk.analysis import figures
from cvtk.analysis.counts import agreement
from cvtk.analysis.ranking import Ranking, interpolated_precision
from cvtk.analysis.study import Study
from cvtk.io import atomic_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 12
"""Classes with figures of their own: those with the most objects."""

FOLDER = "figures"
FILE = re.compile(
    r"(precision_recall|reliability|count|count_difference|area)(\.[\w-]+)?\.(png|svg)"
)
"""What the files are called."""

AREA_UNIT = "area in 1000 pixels"

_DPI = 200
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,60}")


def shown_classes(study: Study) -> list[str]:
    """The classes with figures of their own, in the order of the data set."""
    truth, counts = study.matches.truth, study.per_image
    most = sorted(truth.class_order, key=lambda name: -counts[name].true_count.sum())
    chosen = set(most[:MOST_CLASSES])
    return [name for name in truth.class_order if name in chosen]


def precision_recall(study: Study, name: str) -> Figure | None:
    """Precision over recall of a class at IoU 0.50; None where it has no objects."""
    matches = study.matches
    number = matches.truth.classes.index(name) + 1
    chosen = matches.found.category == number
    hit = matches.is_true[0, chosen]
    ranking = Ranking(
        matches.found.image[chosen] - 1,
        hit,
        ~hit & ~matches.is_ignored[0, chosen],
        matches.objects_per_image(number),
    )
    if not ranking.objects.any():
        return None
    told = study.intervals.by_class[name]
    point = (told["recall"].value, told["precision"].value)
    is_point = not any(math.isnan(value) for value in point)
    [precision] = interpolated_precision(ranking, ranking.weights)
    return figures.precision_recall(precision, point if is_point else None)


def reliability(study: Study) -> Figure | None:
    """How often predictions of each score are right; None where there are none."""
    counted = ~study.matches.is_ignored[0]
    if not counted.any():
        return None
    score = np.clip(study.matches.found.score[counted], 0, 1)
    return figures.reliability(score, study.matches.is_true[0, counted])


def counts_and_areas(study: Study, name: str) -> dict[str, Figure]:
    """Predicted against true counts and areas of a class, by what they show; none where it does not occur."""
    counts = study.per_image[name]
    true, found = counts.true_count, counts.found_count
    if not (true.any() or found.any()):
        return {}
    return {
        "count": figures.true_against_found(true, found, "count", is_whole=True),
        "count_difference": figures.bland_altman(
            true, found, agreement(true, found), "count"
        ),
        "area": figures.true_against_found(
            counts.true_area / 1000, counts.found_area / 1000, AREA_UNIT
        ),
    }


def write_figures(study: Study, folder: Path, *, force: bool = False) -> None:
    """Writes all figures as PNG and SVG, named after what they show and the class: `count.leaf.svg`.

    A class whose name does not do for a file is called by its number.

    Raises:
        FileError: The folder is not empty and `force` was not said, or cannot be written.
    """
    with atomic_folder(folder, force=force) as part:
        for name, figure in _named_figures(study):
            (part / f"{name}.svg").write_text(figures.svg(figure), encoding="utf-8")
            figure.savefig(part / f"{name}.png", dpi=_DPI)


def _named_figures(study: Study) -> Iterator[tuple[str, Figure]]:
    """Every figure with the name of its file, without the suffix."""
    drawn = reliability(study)
    if drawn is not None:
        yield "reliability", drawn
    for name in shown_classes(study):
        ending = _file_name(study, name)
        curve = precision_recall(study, name)
        if curve is not None:
            yield f"precision_recall.{ending}", curve
        for what, figure in counts_and_areas(study, name).items():
            yield f"{what}.{ending}", figure


def _file_name(study: Study, name: str) -> str:
    """A class in the name of a file: itself, or its number where that might not do on some system."""
    names = study.matches.truth.class_order
    is_only = [other.casefold() for other in names].count(name.casefold()) == 1
    if is_only and _PLAIN.fullmatch(name):
        return name
    return f"class-{names.index(name) + 1}"
