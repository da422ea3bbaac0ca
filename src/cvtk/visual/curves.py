"""A training by its epochs: tables for programs, curves for people, made from MMEngine's log.

MMEngine writes `scalars.json`, one JSON object per line, in a folder of the workspace per start. Lines of
training have an `epoch`, and their values are means over the epoch so far, so the last line of an epoch has
its means. Lines of validation have a `step` instead, which is the epoch.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cvtk.io import atomic_write, read_bytes
from cvtk.visual.overlays import class_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row: TypeAlias = dict[str, Any]
"""One epoch: a value per column."""

_SIZES = ("", "_50", "_75", "_s", "_m", "_l")

# Columns that repeat others, or differ between the lines of one epoch.
_LEFT_OUT = frozenset({"epoch", "iter", "step", "base_lr", "time", "memory"})

_KINDS = {"bbox": "box", "segm": "mask"}

_LOSSES = {
    "loss": "total",
    "loss_cls": "classification",
    "loss_bbox": "boxes",
    "loss_mask": "masks",
    "loss_rpn_cls": "proposals: object or not",
    "loss_rpn_bbox": "proposals: boxes",
}

_DPI = 150


def read_scalars(workspace: Path) -> list[Row]:
    """All lines of MMEngine's logs below a workspace, oldest first.

    A line that is no JSON object is left out: a training that was killed may leave half a line behind.
    """
    lines = []
    for file in sorted(workspace.glob("*/vis_data/scalars.json")):
        for text in read_bytes(file).decode("utf-8", "replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                lines.append(line)
    return lines


def training_rows(lines: Iterable[Row]) -> list[Row]:
    """The losses by epoch, from what `read_scalars` gave.

    Returns:
        Rows with `epoch`, then the columns in the order of the log, then `time` (seconds per step) and
        `memory` (of the GPU in MB, 0 on the CPU).
    """
    training = [line for line in lines if line.get("epoch") is not None]
    rows = []
    for epoch, values in last_by(training, "epoch").items():
        row: Row = {"epoch": epoch}
        row |= {key: values[key] for key in values if key not in _LEFT_OUT}
        row |= {key: values.get(key, 0.0) for key in ("time", "memory")}
        rows.append(row)
    return rows


def validation_rows(lines: Iterable[Row], kinds: Sequence[str]) -> list[Row]:
    """COCO's AP by epoch, from what `read_scalars` gave.

    Args:
        lines: The lines of the log.
        kinds: What is evaluated, `bbox` and perhaps `segm`.

    Returns:
        Rows with six columns per kind (`coco/bbox_mAP`, ... `_50`, `_75`, `_s`, `_m`, `_l`), `data_time`,
        `time` and `step`, the epoch. AP is 0 after an epoch in which nothing at all was found, of which
        MMDetection logs no AP.
    """
    validation = [line for line in lines if line.get("epoch") is None]
    names = [f"coco/{kind}_mAP{size}" for kind in kinds for size in _SIZES]
    return [
        {key: values.get(key, 0.0) for key in (*names, "data_time", "time")}
        | {"step": epoch}
        for epoch, values in last_by(validation, "step").items()
    ]


def last_by(lines: Iterable[Row], key: str) -> dict[int, Row]:
    """The last value of each column in the lines of each epoch, the epochs in order.

    What was broken off is replaced by what went on after `--resume`, since its lines come later.
    """
    epochs: dict[int, Row] = {}
    for line in lines:
        number = line.get(key)
        if isinstance(number, int | float) and math.isfinite(number):
            given = {name: value for name, value in line.items() if value is not None}
            epochs.setdefault(int(number), {}).update(given)
    return dict(sorted(epochs.items()))


def write_statistics(stem: Path, rows: Sequence[Row], figure: Figure) -> None:
    """Writes a table and its curves, `STEM.txt` and `STEM.png`; older ones are replaced.

    Args:
        stem: The files without their suffix.
        rows: The table.
        figure: The curves, from `plot_losses` or `plot_scores`.

    Raises:
        FileError: A file cannot be written.
    """
    write_table(stem.with_name(f"{stem.name}.txt"), rows)
    buffer = BytesIO()  # by itself, Pillow takes no notice of a full disk
    figure.savefig(buffer, dpi=_DPI, format="png")
    with atomic_write(stem.with_name(f"{stem.name}.png"), force=True) as part:
        part.write_bytes(buffer.getvalue())


def write_table(file: Path, rows: Sequence[Row]) -> None:
    """Writes rows as tab-separated text with a header; a value that a row lacks is left empty.

    Raises:
        FileError: The file cannot be written.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    # Epochs may differ in their columns where a training went on in another way; these come last.
    # Python's sort keeps the order of equal keys.
    columns.sort(key=lambda column: column in ("time", "memory", "step"))
    with (
        atomic_write(file, force=True) as part,
        part.open("w", encoding="utf-8", newline="") as text,
    ):
        writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def plot_losses(rows: Sequence[Row]) -> Figure:
    """The losses over the epochs, the total in black.

    The losses of several stages or decoder layers (`s0.loss_cls`, `s1.loss_cls`, ...) are added up, so that
    the curves can be told apart.

    Args:
        rows: What `training_rows` gave, at least one.
    """
    figure, axes = empty_plot(rows, "epoch", "loss")
    columns = dict.fromkeys(column for row in rows for column in row)
    losses = [column for column in columns if "loss" in column]
    for index, (name, parts) in enumerate(_by_name(losses).items()):
        values = [sum(float(row.get(part, 0.0)) for part in parts) for row in rows]
        is_total = name == "total"
        axes.plot(
            [row["epoch"] for row in rows],
            values,
            label=name,
            color="black" if is_total else line_colour(index),
            linewidth=2 if is_total else 1.5,
            marker=marker(rows),
        )
    axes.legend()
    return figure


def plot_scores(rows: Sequence[Row], kinds: Sequence[str], best_by: str) -> Figure:
    """AP over the epochs, with the best epoch marked.

    Args:
        rows: What `validation_rows` gave, at least one.
        kinds: What is evaluated, `bbox` and perhaps `segm`.
        best_by: The column that decides which epoch is best, such as `coco/segm_mAP`.
    """
    figure, axes = empty_plot(rows, "step", "AP on the validation set")
    for kind in reversed(kinds):
        for size, style in (("", "-"), ("_50", "--")):
            column = f"coco/{kind}_mAP{size}"
            axes.plot(
                [row["step"] for row in rows],
                [score_of(row, column) for row in rows],
                style,
                label=score_name(column),
                color=line_colour(0 if kind == "segm" else 1),
                marker=marker(rows),
            )
    _mark_best(axes, rows, best_by)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def best_row(rows: Sequence[Row], column: str) -> Row | None:
    """The first row with the highest value in a column; None where none is above 0."""
    best = max(rows, key=lambda row: score_of(row, column), default=None)
    if best is None or score_of(best, column) <= 0:
        return None
    return best


def _mark_best(axes: Axes, rows: Sequence[Row], column: str) -> None:
    best = best_row(rows, column)
    if best is None:
        axes.set_title("Nothing found yet")
        return
    epoch, score = best["step"], score_of(best, column)
    axes.axvline(epoch, color="grey", linestyle=":", zorder=0)
    axes.plot(
        [epoch],
        [score],
        marker="*",
        markersize=14,
        color="black",
        linestyle="",
        label=f"best epoch: {epoch} ({score_name(column)} {score:.3f})",
    )


def score_of(row: Row, column: str) -> float:
    """A value of AP; 0 where COCO says -1 (no such objects) or nothing was found."""
    value = float(row.get(column, 0.0))
    return value if value > 0 else 0.0


def score_name(column: str) -> str:
    """`coco/segm_mAP_50` -> `mask AP50`."""
    kind, _, size = column.removeprefix("coco/").partition("_mAP")
    return f"{_KINDS.get(kind, kind)} AP{size.removeprefix('_')}"


def _by_name(losses: Sequence[str]) -> dict[str, list[str]]:
    """What the legend calls each loss -> its columns; several of one loss in stages or layers."""
    groups: dict[str, list[str]] = {}
    for column in losses:
        groups.setdefault(column.rpartition(".")[2], []).append(column)
    named = {}
    for loss, columns in groups.items():
        name = _LOSSES.get(loss) or loss.removeprefix("loss_").replace("_", " ")
        if len(columns) > 1:
            name = f"{name} ({len(columns)} stages)"
        named[name] = columns
    return named


def empty_plot(rows: Sequence[Row], epoch: str, title: str) -> tuple[Figure, Axes]:
    """A figure and its axes, with whole epochs below."""
    # Not pyplot: it would start the backend that a notebook or $MPLBACKEND asks for.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # Fixed margins: a layout that is computed would draw each figure twice.
    figure = Figure(figsize=(7, 4.5))
    figure.subplots_adjust(left=0.11, right=0.98, bottom=0.11, top=0.93)
    axes = figure.subplots()
    axes.set_xlabel("epoch")
    axes.set_ylabel(title)
    axes.ticklabel_format(axis="y", scilimits=(-4, 4))  # long numbers have no room
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(rows[0][epoch] - 0.5, rows[-1][epoch] + 0.5)
    axes.grid(alpha=0.3)
    return figure, axes


def marker(rows: Sequence[Row]) -> str:
    """Dots where the epochs are few: a curve of one epoch is nothing but its dot."""
    return "o" if len(rows) <= 20 else ""


def line_colour(index: int) -> tuple[float, float, float]:
    """Colours that colour-blind readers can tell apart, as matplotlib takes them (0..1)."""
    red, green, blue = class_colour(index)
    return (red / 255, green / 255, blue / 255)
