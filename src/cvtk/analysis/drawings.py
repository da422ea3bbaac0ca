"""Which figures an evaluation has, for the report and as files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvtk.analysis import figures
from cvtk.analysis.counts import agreement
from cvtk.analysis.ranking import Ranking, interpolated_precision
from cvtk.analysis.study import Study
from cvtk.extras import can_draw
from cvtk.io import atomic_folder
from cvtk.visual.fonts import writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 12
"""Classes with figures of their own: those with the most objects."""

MOST_IN_MATRIX = 25
"""Classes; a larger confusion matrix cannot be read."""

FOLDER = "figures"
FILE = re.compile(
    r"(confusion|reliability|precision_recall|count|count_difference|area|area_difference)(\.[\w-]+)?\.(png|svg)"
)
"""What the files are called."""

COUNTS_AND_AREAS = ("count", "count_difference", "area", "area_difference")
"""What the figures that compare images show."""

AREA_UNIT = "area in 1000 pixels"

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True)
class Drawing:
    """A figure of an evaluation.

    Attributes:
        what: What it shows, such as "count".
        label: The name of the class; empty where it shows all.
        figure: The figure.
        svg: The same as SVG.
    """

    what: str
    label: str
    figure: Figure
    svg: str


def draw(study: Study) -> list[Drawing]:
    """All figures, those of a class together; none without matplotlib, which is said."""
    if not can_draw("The figures are"):
        return []
    return [
        Drawing(what, label, figure, figures.svg(figure))
        for what, label, figure in _figures(study)
    ]


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
    true_area, found_area = counts.true_area / 1000, counts.found_area / 1000
    return {
        "count": figures.true_against_found(true, found, "count", is_whole=True),
        "count_difference": figures.bland_altman(
            true, found, agreement(true, found), "count"
        ),
        "area": figures.true_against_found(true_area, found_area, AREA_UNIT),
        "area_difference": figures.bland_altman(
            true_area, found_area, agreement(true_area, found_area), AREA_UNIT
        ),
    }


def confusion(study: Study) -> Figure | None:
    """The confusion matrix; None where it has too many classes to be read."""
    names = study.matches.truth.classes
    if not 0 < len(names) <= MOST_IN_MATRIX:
        return None
    shown = [" ".join(name.split()) for name in names]
    written = [
        name if name and writable(name) else f"class {number}"
        for number, name in enumerate(shown, 1)
    ]
    return figures.confusion(study.confusion, written)


def _figures(study: Study) -> Iterator[tuple[str, str, Figure]]:
    """What each figure shows, of which class, and the figure."""
    for what, drawn in (
        ("confusion", confusion(study)),
        ("reliability", reliability(study)),
    ):
        if drawn is not None:
            yield what, "", drawn
    for name in shown_classes(study):
        curve = precision_recall(study, name)
        if curve is not None:
            yield "precision_recall", name, curve
        for what, figure in counts_and_areas(study, name).items():
            yield what, name, figure


def write_figures(
    drawings: Sequence[Drawing],
    classes: Sequence[str],
    folder: Path,
    *,
    force: bool = False,
) -> None:
    """Writes figures as PNG and SVG, named after what they show and the class: `count.leaf.svg`.

    A class whose name does not do for a file is called by its number.

    Args:
        drawings: The figures.
        classes: The names of all classes.
        folder: Where to.
        force: Whether files of a folder that exists may be replaced.

    Raises:
        FileError: The folder is not empty and `force` was not said, or cannot be written.
    """
    with atomic_folder(folder, force=force) as part:
        for drawing in drawings:
            name = drawing.what
            if drawing.label:
                name += f".{_file_name(classes, drawing.label)}"
            (part / f"{name}.svg").write_text(drawing.svg, encoding="utf-8")
            drawing.figure.savefig(part / f"{name}.png", dpi=figures.DPI)


def _file_name(names: Sequence[str], name: str) -> str:
    """A class in the name of a file: itself, or its number where that might not do on some system."""
    is_only = [other.casefold() for other in names].count(name.casefold()) == 1
    if is_only and _PLAIN.fullmatch(name):
        return name
    return f"class-{names.index(name) + 1}"
