"""The figures of the report and for papers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.counts import Agreement
from cvtk.metrics.arrays import RECALL_THRESHOLDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cvtk.analysis.learning_curve import LearningCurve

DPI = 200
"""Of pictures, and of what is a picture inside a drawing."""

MOST_DOTS = 1000
"""More dots are one picture in the SVG, which would be megabytes else."""

_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#888888"


def precision_recall(
    precision: NDArray[np.float64], point: tuple[float, float] | None
) -> Figure:
    """Precision over recall at IoU 0.50.

    Args:
        precision: (101,) at the recalls 0, 0.01, ... 1.
        point: Recall and precision at the score to cut at, if there is such a point.
    """
    figure, axes = _square("recall", "precision")
    axes.plot(RECALL_THRESHOLDS, precision, color=_BLUE, linewidth=2)
    axes.fill_between(RECALL_THRESHOLDS, precision, color=_BLUE, alpha=0.12)
    if point is not None:
        axes.plot(*point, "o", color=_ORANGE, markersize=8, clip_on=False, zorder=3)
    _unit_square(axes)
    return figure


def reliability(score: NDArray[np.float64], is_true: NDArray[np.bool_]) -> Figure:
    """The share of right detections by their score, in tenths; dots are as large as the detections are many."""
    figure, axes = _square("score", "share that is right")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1)
    place = np.clip((score * 10).astype(int), 0, 9)
    count = np.bincount(place, minlength=10)
    there = count > 0
    mean = np.bincount(place, weights=score, minlength=10)[there] / count[there]
    right = np.bincount(place, weights=is_true, minlength=10)[there] / count[there]
    size = 20 + 180 * np.sqrt(count[there] / max(count.max(), 1))
    axes.plot(mean, right, color=_BLUE, linewidth=1)
    axes.scatter(mean, right, s=size, color=_BLUE, alpha=0.8, zorder=3, clip_on=False)
    _unit_square(axes)
    return figure


def true_against_found(
    true: NDArray[np.float64],
    found: NDArray[np.float64],
    unit: str,
    *,
    is_whole: bool = False,
) -> Figure:
    """One dot per image: predicted over true, with the line where they are the same.

    Args:
        true: (images,) true values.
        found: (images,) predicted ones.
        unit: What the axes say after "true" and "predicted".
        is_whole: Whether values are whole numbers.
    """
    figure, axes = _square(f"true {unit}", f"predicted {unit}")
    if is_whole:
        _whole_ticks(axes)
    most = float(max(true.max(initial=0), found.max(initial=0), 1)) * 1.05
    axes.plot([0, most], [0, most], color=_GREY, linestyle="--", linewidth=1)
    _dots(axes, true, found)
    axes.set_xlim(-0.03 * most, most)
    axes.set_ylim(-0.03 * most, most)
    return figure


def bland_altman(
    true: NDArray[np.float64], found: NDArray[np.float64], told: Agreement, unit: str
) -> Figure:
    """One dot per image: the difference over the mean, with the bias and the limits of agreement."""
    figure, axes = _square(f"mean of both, {unit}", "predicted less true")
    axes.axhline(0, color=_GREY, linewidth=1)
    axes.axhline(told.bias, color=_ORANGE, linewidth=1.5)
    for limit in (told.lower, told.upper):
        if np.isfinite(limit):
            axes.axhline(limit, color=_ORANGE, linewidth=1.5, linestyle="--")
    _dots(axes, (true + found) / 2, found - true)
    return figure


def confusion(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """A confusion matrix; the colour is the share of its row.

    Args:
        counts: (K + 1, K + 1) true classes by predicted ones, the background last.
        names: K names, which may be any text.
    """
    from matplotlib.figure import Figure

    size = len(counts)
    figure = Figure(figsize=(2 + 0.5 * size, 1.6 + 0.5 * size), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.6 else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color=colour)
    places = range(size)
    axes.set_xticks(places, [*names, "not found"], rotation=90, parse_math=False)
    axes.set_yticks(places, [*names, "nothing there"], parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def learning_curve(told: LearningCurve) -> Figure:
    """AP over the number of images: what was measured, the curve on to twice as many, and how sure its gain is."""
    figure, axes = _square("images to learn from", "AP")
    images = np.array([point.images for point in told.points])
    values = np.array([point.ap.value for point in told.points])
    bounds = np.array([(point.ap.low, point.ap.high) for point in told.points])
    most, twice = images[-1], 2 * images[-1]
    seen, ahead = np.geomspace(images[0], most, 50), np.geomspace(most, twice, 50)
    axes.plot(seen, [told.at(count) for count in seen], color=_BLUE, linewidth=1)
    axes.plot(ahead, [told.at(count) for count in ahead], "--", color=_ORANGE)
    expected = told.at(most) + np.array([told.gain.low, told.gain.high])
    if not np.isnan(expected).any():
        axes.plot([twice, twice], expected, "_-", color=_ORANGE, linewidth=1.5)
        gain = f"{told.gain.value:+.3f}"
        axes.text(twice, expected[1], gain, ha="right", va="bottom", color=_ORANGE)
    if not np.isnan(bounds).any():
        reach = np.abs(bounds - values[:, np.newaxis]).T
        axes.errorbar(images, values, yerr=reach, fmt="none", ecolor=_BLUE, capsize=4)
    axes.plot(images, values, "o", color=_BLUE, markersize=7)
    for point in told.points if len(told.points[0].by_seed) > 1 else ():
        same = np.full(len(point.by_seed), point.images)
        axes.scatter(same, point.by_seed, s=12, color=_GREY, zorder=3)
    axes.set_xscale("log")
    ticks = [*images, twice]
    axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    axes.minorticks_off()
    reached = np.nanmax([0.1, told.at(twice), *values, *bounds.ravel(), *expected])
    axes.set_ylim(0, min(1.0, 1.2 * float(reached)))
    return figure


def svg(figure: Figure) -> str:
    """A figure as an SVG element that fits its column; it names no other file and no address to load."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # The same figure gives the same text, which browsers write in a font of their own.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cvtk"}):
        metadata = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", metadata=metadata, dpi=DPI)
    text = buffer.getvalue()
    return text[text.index("<svg") :]  # without the line that names a DTD's address


def _dots(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """One dot per image."""
    is_picture = len(x) > MOST_DOTS
    axes.scatter(
        x, y, s=30, color=_BLUE, alpha=0.6, linewidths=0, rasterized=is_picture
    )


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    # Not pyplot: it would start the backend that a notebook or $MPLBACKEND asks for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6, 3.2))
    # Fixed margins: a layout that is computed would draw each figure twice.
    axes = figure.add_axes((0.19, 0.16, 0.76, 0.8))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _whole_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
