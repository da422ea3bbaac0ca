"""Objects that were outlined twice: two of one class in one image that are nearly the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from cvtk.data.checks.chunk import describe
from cvtk.data.checks.problems import Problems
from cvtk.data.masks import iou
from cvtk.data.types import Annotation, Dataset, Id, Image, show_id
from cvtk.errors import DataError

# Objects of one class that really overlap this much are hardly told apart by eye.
SAME = 0.8
_REMEDY = "Look at both, and remove one with `cvtk data remove --annotation ID`."


def check_twins(dataset: Dataset, problems: Problems) -> None:
    """Warns of pairs with an intersection over union of `SAME` or more; very copies are told elsewhere."""
    images = {image.id: image for image in dataset.images}
    groups: dict[tuple[Id, Id], list[Annotation]] = defaultdict(list)
    for annotation in dataset.annotations:
        groups[annotation.image_id, annotation.category_id].append(annotation)
    for (image_id, _), members in groups.items():
        image = images.get(image_id)
        if image is None or len(members) < 2:
            continue
        objects = [a for a in members if a.box is not None and not a.is_crowd]
        for a, b in _close_boxes(objects):
            if _is_same(a, b, image):
                other = f"annotation {show_id(a.id)}"
                text = f"it is nearly the same object as {other}"
                item, kind = describe(b, image), "near-identical objects"
                problems.add("warning", kind, dataset.file, item, text, _REMEDY)


def _close_boxes(members: list[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """Pairs whose boxes overlap as much as their masks would have to, or nearly."""
    from pycocotools import mask as api

    if len(members) < 2:
        return []
    boxes = np.array([a.box for a in members], dtype=np.float64)
    boxes = boxes.clip(-1e9, 1e9)
    overlaps = api.iou(boxes, boxes, np.zeros(len(boxes), np.uint8))
    firsts, seconds = np.nonzero(np.triu(overlaps, 1) >= SAME - 0.2)
    return [
        (members[i], members[j])
        for i, j in zip(firsts.tolist(), seconds.tolist(), strict=True)
    ]


def _is_same(a: Annotation, b: Annotation, image: Image) -> bool:
    """Whether two annotations are nearly, but not to the letter, the same."""
    if a.bbox == b.bbox and bytes(a.raw) == bytes(b.raw):
        return False
    try:
        masks = a.segmentation, b.segmentation
    except DataError:  # told already
        return False
    if image.size and masks[0] and masks[1]:
        try:
            return iou(masks[0], masks[1], *image.size) >= SAME
        except DataError:
            return False
    return _box_overlap(a.box or [], b.box or []) >= SAME


def _box_overlap(a: list[float], b: list[float]) -> float:
    from pycocotools import mask as api

    overlap = api.iou(np.array([a]), np.array([b]), np.zeros(1, np.uint8))
    return float(overlap[0, 0])
