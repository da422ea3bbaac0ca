"""AP and AR from precision and recall: overall and by class, under the names of the files that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data import Dataset
from cvtk.errors import OptionError
from cvtk.metrics.arrays import IOU_THRESHOLDS, SIZES, Arrays, compute
from cvtk.metrics.detections import Detections, Kind, from_predictions
from cvtk.metrics.truth import GroundTruth, detection_limits, ground_truth
from cvtk.words import enumerated

_ALL = slice(None)


@dataclass(frozen=True)
class Metrics:
    """The result of an evaluation.

    Attributes:
        kind: Whether masks ("segm") or boxes ("bbox") were compared.
        limits: How many detections per image and class counted, ascending.
        headline: The key of the one AP to report; its limit covers the objects of each image.
        stats: The mean over the classes, by key, as `AP@[0.50:0.95|all|100]`: metric, IoU, size, limit.
        class_stats: The same for each class, by its name, in the order of the data set.
        notes: What a reader should know, as sentences: limits that follow the data, what -1 means.
        classes: The class names in the order of the arrays.
        arrays: Precision and recall from which `stats` come.
    """

    kind: Kind
    limits: tuple[int, ...]
    headline: str
    stats: dict[str, float]
    class_stats: dict[str, dict[str, float]]
    notes: list[str]
    classes: list[str]
    arrays: Arrays


@dataclass(frozen=True)
class _Metric:
    """One number: average precision or recall over IoU thresholds, at a size of objects and a limit."""

    name: str
    iou: float | None
    size: str
    limit: int

    @property
    def key(self) -> str:
        iou = "0.50:0.95" if self.iou is None else f"{self.iou:.2f}"
        return f"{self.name}@[{iou}|{self.size}|{self.limit}]"

    def mean(self, arrays: Arrays, limits: tuple[int, ...], classes: slice) -> float:
        """The mean as pycocotools' `summarize` takes it, -1.0 where there is nothing to be found."""
        values = arrays.precision if self.name == "AP" else arrays.recall
        if self.iou is not None:
            values = values[np.isclose(IOU_THRESHOLDS, self.iou)]
        values = values[..., classes, SIZES.index(self.size), limits.index(self.limit)]
        values = values[values > -1]
        return float(np.mean(values)) if values.size else -1.0


def evaluate(
    truth: GroundTruth | Dataset | str | Path,
    predictions: Sequence[Mapping[str, Any]],
    kind: Kind,
    limits: tuple[int, ...] | None = None,
) -> Metrics:
    """COCO's AP and AR, overall and by class, with pycocotools' numbers to the last digit.

    AP is a property of the whole ranking: give all predictions, not only those above a score.

    Args:
        truth: The true objects: a COCO file, or what was read from one.
        predictions: What was found, in COCO's results format: `image_id`, `category_id`, `score`, and
            `segmentation` as compressed RLE or `bbox` as [x, y, width, height] in pixels. They stay as they
            are.
        kind: Whether masks ("segm") or boxes ("bbox") are compared.
        limits: How many detections per image and class count, ascending; None takes `detection_limits`.

    Raises:
        FileError: The file cannot be read.
        DataError: The truth or a prediction cannot be used; the message says which.
    """
    if not isinstance(truth, GroundTruth):
        truth = ground_truth(truth, masks=kind == "segm")
    found = from_predictions(truth, predictions, kind)
    return evaluate_detections(truth, found, kind, limits)


def evaluate_detections(
    truth: GroundTruth,
    found: Detections,
    kind: Kind,
    limits: tuple[int, ...] | None = None,
) -> Metrics:
    """`evaluate` for detections that are columns already.

    Raises:
        OptionError: The limits do not ascend, or masks are to be compared where none were read.
    """
    limits = detection_limits(truth) if limits is None else limits
    _require_limits(limits)
    if kind == "segm" and not (truth.has_masks and found.has_masks):
        raise OptionError(
            "Masks cannot be compared: there are only boxes.", "Evaluate boxes: 'bbox'."
        )
    arrays = compute(truth, found, kind, limits)
    image_name, objects = truth.most_objects()
    headline = _headline(limits, objects)
    metrics = _metrics(limits, headline)
    by_class = {
        name: {m.key: m.mean(arrays, limits, slice(k, k + 1)) for m in metrics}
        for k, name in enumerate(truth.classes)
    }
    notes = [*truth.notes, *_missing(arrays.recall, truth.classes)]
    if headline.limit != limits[0]:
        notes.append(
            f"{image_name!r} holds {objects} objects: AP counts up to {headline.limit} detections per image"
            f" and class, as {headline.key} says, where a limit of {limits[0]} could miss some."
        )
    return Metrics(
        kind=kind,
        limits=limits,
        headline=headline.key,
        stats={m.key: m.mean(arrays, limits, _ALL) for m in metrics},
        class_stats={name: by_class[name] for name in truth.class_order},
        notes=notes,
        classes=truth.classes,
        arrays=arrays,
    )


def _require_limits(limits: tuple[int, ...]) -> None:
    if not limits or list(limits) != sorted(set(limits)) or limits[0] < 1:
        raise OptionError(
            f"The limits {limits} are not ascending numbers from 1 on.",
            "Name them like (100, 300, 1000).",
        )


def _headline(limits: tuple[int, ...], objects: int) -> _Metric:
    """The AP to report: at the first limit that covers the image with the most objects."""
    covering = [limit for limit in limits if limit >= objects]
    return _Metric("AP", None, "all", covering[0] if covering else limits[-1])


def _metrics(limits: tuple[int, ...], headline: _Metric) -> list[_Metric]:
    """The headline, and the twelve numbers of pycocotools' `summarize` for the limits given."""
    first, last = limits[0], limits[-1]
    sizes = SIZES[1:]
    twelve = [
        _Metric("AP", None, "all", first),
        _Metric("AP", 0.5, "all", last),
        _Metric("AP", 0.75, "all", last),
        *(_Metric("AP", None, size, last) for size in sizes),
        *(_Metric("AR", None, "all", limit) for limit in limits),
        *(_Metric("AR", None, size, last) for size in sizes),
    ]
    return twelve if headline in twelve else [headline, *twelve]


def _missing(recall: NDArray[np.float64], classes: list[str]) -> list[str]:
    """What -1 stands for in these metrics, in words."""
    if not (recall > -1).any():
        return ["-1 everywhere: there is no object to be found."]
    is_there = recall[0, :, :, 0] > -1  # classes, sizes
    if is_there.all():
        return []
    missing = [
        f"no {size} objects"
        for size, column in zip(SIZES, is_there.T, strict=True)
        if not column.any()
    ]
    missing += [
        f"no objects of the class {name!r}"
        for name, row in zip(classes, is_there, strict=True)
        if not row.any()
    ]
    sentence = "-1 means that there is no object of that class and size."
    if missing:
        sentence += f" There are {enumerated(missing)}."
    return [sentence]
