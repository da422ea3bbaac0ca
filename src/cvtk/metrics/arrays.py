"""Precision and recall by IoU, recall, class, size and limit: pycocotools' arrays, by the quickest way there is.

hotcoco gives them bit for bit in a small fraction of pycocotools' time (benchmarks/evaluation.py), and where
it is not installed pycocotools itself gives them. Both get the same clean input: ids from 1, masks as
compressed RLE, areas measured. What differs between the two (an id of 0, missing fields, NaN scores, images
of more than 2**32 pixels) cannot reach them.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.metrics.detections import Detections, Kind
from cvtk.metrics.truth import GroundTruth

SIZES = ("all", "small", "medium", "large")
"""COCO's ranges of an object's area: all, below 32 x 32 pixels, up to 96 x 96, and above."""

MOST_AT_ONCE = 250_000
"""Detections; hotcoco needs about a kilobyte for each."""

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Arrays:
    """What pycocotools calls `eval`; -1 where there is no object to be found.

    Attributes:
        precision: (10 IoU thresholds, 101 recall thresholds, classes, 4 sizes, limits), 0 to 1.
        recall: (10 IoU thresholds, classes, 4 sizes, limits), 0 to 1.
        scores: The score at each precision; of its shape.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]


def compute(
    truth: GroundTruth, found: Detections, kind: Kind, limits: tuple[int, ...]
) -> Arrays:
    """Matches detections with true objects.

    Args:
        truth: What is to be found.
        found: What was found.
        kind: Whether masks or boxes are compared.
        limits: How many detections per image and class count, ascending.
    """
    try:
        import hotcoco  # noqa: F401
    except ImportError:
        return by_pycocotools(truth, found, kind, limits)
    return by_hotcoco(truth, found, kind, limits)


def by_hotcoco(
    truth: GroundTruth,
    found: Detections,
    kind: Kind,
    limits: tuple[int, ...],
    most: int = MOST_AT_ONCE,
) -> Arrays:
    """The arrays with hotcoco's arithmetic, some classes at a time where there are many detections.

    Args:
        truth: As for `compute`.
        found: The same.
        kind: The same.
        limits: The same.
        most: How many detections at once, unless one class has more.
    """
    groups = _groups(found, len(truth.classes), most)
    if len(groups) == 1:
        return _by_hotcoco(truth, found, kind, limits)
    parts = []
    for group in groups:
        of_group = found.take(np.flatnonzero(np.isin(found.category, group)))
        parts.append(_by_hotcoco(truth, of_group, kind, limits, group))
    return Arrays(
        np.concatenate([part.precision for part in parts], axis=2),
        np.concatenate([part.recall for part in parts], axis=1),
        np.concatenate([part.scores for part in parts], axis=2),
    )


def _groups(found: Detections, classes: int, most: int) -> list[list[int]]:
    """The numbers of all classes in order, in groups that have so many detections together."""
    groups: list[list[int]] = [[]]
    total = 0
    counts = np.bincount(found.category, minlength=classes + 1)[1:]
    for number, count in enumerate(counts.tolist(), 1):
        if groups[-1] and total + count > most:
            groups.append([])
            total = 0
        groups[-1].append(number)
        total += count
    return groups


def _by_hotcoco(
    truth: GroundTruth,
    found: Detections,
    kind: Kind,
    limits: tuple[int, ...],
    classes: list[int] | None = None,
) -> Arrays:
    """The arrays of some classes; of all where none are named."""
    import hotcoco

    true: Any = hotcoco.COCO(_truth_document(truth, kind))
    # A row of hotcoco's results is image, x, y, width, height, score, category.
    rows = np.column_stack((found.image, found.bbox, found.score, found.category))
    results = true.load_res(rows, segmentation=found.masks)
    if kind == "segm" and len(found):  # of their masks, not of the boxes
        ids = np.arange(1, len(found) + 1)
        results.update_anns(ids=ids, area=found.areas(kind))
    run: Any = hotcoco.COCOeval(true, results, kind)
    run.params.max_dets = list(limits)
    if classes is not None:
        run.params.cat_ids = classes
    run.evaluate()
    run.accumulate()
    return _arrays(run.eval)


def by_pycocotools(
    truth: GroundTruth, found: Detections, kind: Kind, limits: tuple[int, ...]
) -> Arrays:
    """The arrays with pycocotools' arithmetic. Arguments as for `compute`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    document = _truth_document(truth, kind)
    true, results = COCO(), COCO()
    true.dataset = document
    results.dataset = {**document, "annotations": _found_annotations(found, kind)}
    with contextlib.redirect_stdout(io.StringIO()):  # each of these steps prints
        true.createIndex()
        results.createIndex()
        run = COCOeval(true, results, kind)
        run.params.maxDets = list(limits)
        run.evaluate()
        run.accumulate()
    return _arrays(run.eval)


def _arrays(evaluated: dict[str, Any]) -> Arrays:
    return Arrays(evaluated["precision"], evaluated["recall"], evaluated["scores"])


def _truth_document(truth: GroundTruth, kind: Kind) -> dict[str, Any]:
    """The true objects as a COCO document. Both libraries may write into it."""
    # Sizes and names do not matter here, and those of a file could be anything.
    images = [
        {"id": number, "file_name": str(number), "width": 1, "height": 1}
        for number in truth.image_numbers.values()
    ]
    annotations: list[dict[str, Any]] = []
    for number, true in enumerate(truth.objects, 1):
        annotation = {
            "id": number,
            "image_id": true.image,
            "category_id": true.category,
            "bbox": true.bbox,
            "area": true.area,
            "iscrowd": int(true.is_crowd),
        }
        if kind == "segm":
            annotation["segmentation"] = true.mask
        annotations.append(annotation)
    categories = [
        {"id": number, "name": str(number)}
        for number in truth.category_numbers.values()
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _found_annotations(found: Detections, kind: Kind) -> list[dict[str, Any]]:
    """The detections as pycocotools' `loadRes` makes them."""
    areas = found.areas(kind)
    annotations: list[dict[str, Any]] = []
    for index in range(len(found)):
        annotation = {
            "id": index + 1,
            "image_id": int(found.image[index]),
            "category_id": int(found.category[index]),
            "bbox": found.bbox[index].tolist(),
            "score": float(found.score[index]),
            "area": float(areas[index]),
            "iscrowd": 0,
        }
        if kind == "segm" and found.masks:
            annotation["segmentation"] = found.masks[index]
        annotations.append(annotation)
    return annotations
