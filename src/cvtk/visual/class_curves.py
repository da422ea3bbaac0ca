"""AP of each class by epoch: a table for programs, curves for people, from the lines of MMEngine's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cvtk.visual.curves import (
    Row,
    empty_plot,
    last_by,
    line_colour,
    marker,
    score_name,
    score_of,
)
from cvtk.visual.fonts import writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 10
"""More curves cannot be told apart: only the classes with the lowest AP are drawn."""

_METRICS = ("mAP", "mAP_50")


def class_scalars(
    class_metrics: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """What the log of a validation holds of each class.

    Args:
        class_metrics: By class and name, as `CvtkCocoMetric.class_metrics`.

    Returns:
        AP and AP50 by `coco/segm_mAP/CLASS` and so on; -1 for a class without objects.
    """
    return {
        f"coco/{name}/{label}": value
        for label, metrics in class_metrics.items()
        for name, value in metrics.items()
        if name.partition("_")[2] in _METRICS
    }


def class_rows(lines: Iterable[Row], kinds: Sequence[str]) -> list[Row]:
    """AP of each class by epoch, from what `read_scalars` gave; no rows of a log without classes.

    Args:
        lines: The lines of the log.
        kinds: What is evaluated, `bbox` and perhaps `segm`.

    Returns:
        Rows with `step`, the epoch, and a column per kind, metric and class: `coco/segm_mAP/flower`.
    """
    starts = tuple(f"coco/{kind}_{name}/" for kind in kinds for name in _METRICS)
    validation = [line for line in lines if line.get("epoch") is None]
    rows = []
    for epoch, values in last_by(validation, "step").items():
        of_classes = {key: values[key] for key in values if key.startswith(starts)}
        if of_classes:
            rows.append({"step": epoch, **of_classes})
    return rows


def plot_classes(rows: Sequence[Row], kind: str) -> Figure:
    """AP of each class over the epochs; of many classes those whose AP is lowest at the end.

    Args:
        rows: What `class_rows` gave, at least one.
        kind: `segm` or `bbox`.
    """
    start = f"coco/{kind}_mAP/"
    columns = [name for name in rows[-1] if name.startswith(start)]
    columns = [name for name in columns if rows[-1][name] >= 0]  # -1: no objects
    worst = sorted(columns, key=lambda name: score_of(rows[-1], name))[:MOST_CURVES]
    title = f"{score_name(start.rstrip('/'))} on the validation set"
    figure, axes = empty_plot(rows, "step", title)
    for index, column in enumerate(columns):
        if column in worst:
            values = [score_of(row, column) for row in rows]
            epochs = [row["step"] for row in rows]
            axes.plot(epochs, values, color=line_colour(index), marker=marker(rows))
    axes.set_ylim(bottom=0)
    shown = [name.removeprefix(start) for name in columns if name in worst]
    if len(shown) < len(columns):
        axes.set_title(f"The {len(shown)} of {len(columns)} classes with the lowest AP")
    if shown:
        _write_names(axes, shown)
    return figure


def _write_names(axes: Any, names: Sequence[str]) -> None:
    """A legend of the classes, whatever their names are.

    matplotlib leaves out entries that begin with an underscore, and reads `$` as a formula; so the names
    are put in when the legend is made.
    """
    legend = axes.legend(axes.lines, [str(number) for number in range(len(names))])
    for number, (text, name) in enumerate(
        zip(legend.get_texts(), names, strict=True), 1
    ):
        shown = " ".join(name.split())
        text.set_parse_math(False)
        text.set_text(shown if shown and writable(shown) else f"class {number}")
