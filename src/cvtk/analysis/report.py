"""report.html: one file that needs no network, for people who decide what to label or to change next."""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvtk.analysis.counts import agreement
from cvtk.analysis.drawings import (
    AREA_UNIT,
    COUNTS_AND_AREAS,
    MOST_IN_MATRIX,
    Drawing,
    shown_classes,
)
from cvtk.analysis.figures import learning_curve as draw_curve
from cvtk.analysis.figures import svg
from cvtk.analysis.gallery import SHOWN, Case, Picture, draw_cases, worst_cases
from cvtk.analysis.learning_curve import LearningCurve
from cvtk.analysis.matching import NOTHING
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.pages import METRICS, cut_texts, environment, error_rows, meaning
from cvtk.analysis.review import likely_label_errors
from cvtk.analysis.sentences import method, summary, warnings
from cvtk.analysis.study import Study
from cvtk.analysis.tables import images_rows
from cvtk.data.csv_files import Row
from cvtk.extras import has_matplotlib
from cvtk.io import atomic_write, is_file, read_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IMAGES = 10
MOST_CONFUSIONS = 5


@dataclass(frozen=True)
class Trainings:
    """What the report says where a model was trained more than once.

    Attributes:
        lead: A sentence at its head: whose predictions these are; empty where there is nothing to say.
        sentences: What came of the trainings.
        rows: A table: its header, and a row for each training; empty for none.
        curve: The learning curve; None without one.
    """

    lead: str = ""
    sentences: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    curve: LearningCurve | None = None


def write_report(
    study: Study,
    drawings: Sequence[Drawing],
    file: Path,
    training: Path | None = None,
    trainings: Trainings | None = None,
    *,
    force: bool = False,
) -> None:
    """Writes the report.

    Args:
        study: The evaluation, analysed.
        drawings: Its figures.
        file: The HTML file.
        training: The weights without their suffix; the tables of their training lie beside them.
        trainings: What to say of several trainings, if there are any.
        force: Whether a file of that name may be replaced.

    Raises:
        FileError: The file exists and `force` was not said, or cannot be written.
    """
    text = render(study, drawings, training, trainings)
    with atomic_write(file, force=force) as part:
        part.write_text(text, encoding="utf-8")


def render(
    study: Study,
    drawings: Sequence[Drawing],
    training: Path | None = None,
    trainings: Trainings | None = None,
) -> str:
    """The report as HTML. Arguments as for `write_report`."""
    template = environment().get_template("report.html.j2")
    return template.render(
        file=study.matches.truth.file,
        shape="mask" if study.matches.kind == "segm" else "box",
        lead=trainings.lead if trainings else "",
        summary=summary(study),
        warnings=warnings(study),
        method=method(study),
        metric_names=METRICS,
        overall=study.intervals.overall,
        by_class=study.intervals.by_class,
        cuts=cut_texts(study),
        errors=error_rows(study),
        gallery=gallery(study),
        confusion=confusion(study),
        images=worst_images(study),
        curves=curves(study, drawings),
        reliability=[_safe(d) for d in drawings if d.what == "reliability"],
        counts=count_figures(study, drawings),
        classes_left_out=len(study.matches.truth.classes) - len(shown_classes(study)),
        training=training_figures(training),
        trainings=trainings,
        learning_curve=learning_curve_figure(trainings),
        likely_errors=len(likely_label_errors(study)),
    )


def gallery(study: Study) -> list[dict[str, Any]]:
    """The worst cases of each kind of error that occurs."""
    chosen = {error: worst_cases(study, error) for error in SHOWN}
    pictures = iter(draw_cases(study, [c for cases in chosen.values() for c in cases]))
    kind = study.matches.kind
    return [
        {
            "name": error.words(kind),
            "meaning": meaning(error, kind),
            "cases": [_described(study, next(pictures)) for _ in cases],
        }
        for error, cases in chosen.items()
        if cases
    ]


def confusion(study: Study) -> dict[str, Any]:
    """The confusion matrix, unless it has too many classes to be read, and what is confused most."""
    names = [*study.matches.truth.classes, "nothing"]
    counts = study.confusion
    off = counts[:-1, :-1].copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(place), max(len(names) - 1, 1)) for place in order]
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return {
        "names": names,
        "is_shown": len(names) - 1 <= MOST_IN_MATRIX,
        "rows": [
            {"name": name, "cells": list(zip(row, shares, strict=True))}
            for name, row, shares in zip(
                names, counts.tolist(), (counts / totals).tolist(), strict=True
            )
        ],
        "pairs": [
            (names[true], names[found], int(off[true, found]))
            for true, found in pairs
            if off[true, found]
        ],
    }


def worst_images(study: Study) -> list[Row]:
    """The images with the most errors, the worst first."""

    def errors(row: Row) -> int:
        return int(row["missed"]) + int(row["wrong"])

    rows = sorted(images_rows(study), key=errors, reverse=True)
    return [row for row in rows[:MOST_IMAGES] if errors(row)]


def curves(study: Study, drawings: Sequence[Drawing]) -> list[dict[str, Any]]:
    """Precision over recall of each class that has objects."""
    return [
        {
            "name": drawing.label,
            "svg": _safe(drawing),
            "metrics": study.intervals.by_class[drawing.label],
        }
        for drawing in drawings
        if drawing.what == "precision_recall"
    ]


def count_figures(study: Study, drawings: Sequence[Drawing]) -> list[dict[str, Any]]:
    """Counts and areas of each class that occurs: figures, and how well they agree."""
    drawn: list[dict[str, Any]] = []
    for name in shown_classes(study):
        svgs = [
            _safe(drawing)
            for drawing in drawings
            if drawing.label == name and drawing.what in COUNTS_AND_AREAS
        ]
        counts = study.per_image[name]
        if not (counts.true_count.any() or counts.found_count.any()):
            continue
        number = agreement(counts.true_count, counts.found_count)
        area = agreement(counts.true_area / 1000, counts.found_area / 1000)
        rows = [("objects", number), (AREA_UNIT, area)]
        drawn.append({"name": name, "svgs": svgs, "rows": rows})
    return drawn


def learning_curve_figure(trainings: Trainings | None) -> Any:
    """AP over the number of images; None where there is no such curve."""
    from markupsafe import Markup

    if trainings is None or trainings.curve is None:
        return None
    return Markup(svg(draw_curve(trainings.curve)))


def training_figures(training: Path | None) -> list[dict[str, Any]]:
    """The curves of the training, from the tables beside the weights; none where there are none."""
    from markupsafe import Markup

    from cvtk.visual.class_curves import plot_classes
    from cvtk.visual.curves import plot_losses, plot_scores

    if training is None or not has_matplotlib():
        return []
    drawn: list[tuple[str, Figure]] = []
    rows = _table(training.with_name(f"{training.name}.train_stats.train.txt"))
    if rows:
        drawn.append(("Losses by epoch", plot_losses(rows)))
    rows = _table(training.with_name(f"{training.name}.train_stats.valid.txt"))
    kinds = [
        kind for kind in ("bbox", "segm") if rows and f"coco/{kind}_mAP" in rows[0]
    ]
    if kinds:
        plot = plot_scores(rows, kinds, f"coco/{kinds[-1]}_mAP")
        drawn.append(("AP on the validation set by epoch", plot))
    rows = _table(training.with_name(f"{training.name}.train_stats.classes.txt"))
    if rows and kinds:
        drawn.append(("AP of each class by epoch", plot_classes(rows, kinds[-1])))
    return [{"name": name, "svg": Markup(svg(plot))} for name, plot in drawn]


def _table(file: Path) -> list[dict[str, Any]]:
    """A table of the training: numbers, and whole ones for the epochs; empty where there is none."""
    if not is_file(file):
        return []
    rows = csv.DictReader(read_text(file).splitlines(), delimiter="\t")
    return [
        {
            key: int(float(value)) if key in ("epoch", "step") else float(value)
            for key, value in row.items()
            if value
        }
        for row in rows
    ]


def _described(study: Study, picture: Picture) -> dict[str, Any]:
    """A picture with what is known of its case, as the page shows it."""
    return {
        "image": picture.image,
        "true": picture.true,
        "found": picture.found,
        "look_again": picture.case.look_again,
        "texts": _texts(study, picture.case),
    }


def _texts(study: Study, case: Case) -> list[str]:
    """What is known of a case: the classes, the score, the IoU."""
    matches = study.matches
    label = functools.partial(_label, matches.truth.classes)
    if case.found == NOTHING:
        area = study.true_area[case.true]
        texts = [f"{label(matches.true_category[case.true])}, {area:,.0f} pixels"]
        below = np.flatnonzero(study.outcomes.about == case.true)
        if len(below):  # the best comes first
            told = label(matches.found.category[below[0]])
            score = matches.found.score[below[0]]
            texts.append(f"below the cut: {told}, score {score:.2f}")
        return texts
    score = matches.found.score[case.found]
    texts = [
        f"predicted {label(matches.found.category[case.found])}, score {score:.2f}"
    ]
    if case.true != NOTHING:
        iou = study.outcomes.iou[case.found]
        texts.append(f"true {label(matches.true_category[case.true])}, IoU {iou:.2f}")
        is_found = study.outcomes.true[case.true] == Outcome.CORRECT
        if is_found and case.outcome is not Outcome.DUPLICATE:
            texts.append("which is found as such, too")
    return texts


def _label(classes: list[str], number: int) -> str:
    return classes[int(number) - 1]


def _safe(drawing: Drawing) -> Any:
    """SVG of ours, which the template shall not escape."""
    from markupsafe import Markup

    return Markup(drawing.svg)
