"""What a model has found, as columns: half a million detections fit where as many dictionaries would not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import DataError
from cvtk.io import CocoRLE
from cvtk.metrics.truth import GroundTruth, Id

Kind: TypeAlias = Literal["segm", "bbox"]

# Half a million predictions are checked: isinstance with `numbers.Real` would take most of that time.
_NUMBER = (float, int, np.floating, np.integer)


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in the images of a `GroundTruth`; one row per detection.

    Attributes:
        image: (N,) numbers of the images, from 1.
        category: (N,) numbers of the categories, from 1.
        bbox: (N, 4) x, y, width and height in pixels.
        score: (N,) the higher, the surer.
        masks: N compressed RLE, or None where only boxes were found.
    """

    image: NDArray[np.int64]
    category: NDArray[np.int64]
    bbox: NDArray[np.float64]
    score: NDArray[np.float64]
    masks: list[CocoRLE] | None

    def __len__(self) -> int:
        return len(self.score)

    @property
    def has_masks(self) -> bool:
        """Whether masks were found, or nothing at all."""
        return self.masks is not None or not len(self)

    def take(self, chosen: NDArray[np.int64]) -> Detections:
        """The detections at some indices, in that order."""
        return Detections(
            image=self.image[chosen],
            category=self.category[chosen],
            bbox=self.bbox[chosen],
            score=self.score[chosen],
            masks=None if self.masks is None else [self.masks[i] for i in chosen],
        )

    def areas(self, kind: Kind) -> NDArray[np.float64]:
        """(N,) the area of each detection in square pixels: of its mask or, for boxes, of its box."""
        if kind == "bbox" or not self.masks:
            return self.bbox[:, 2] * self.bbox[:, 3]
        return areas_of_masks(self.masks)


def areas_of_masks(masks: Iterable[CocoRLE]) -> NDArray[np.float64]:
    """The area of each mask in square pixels."""
    from pycocotools import mask as api

    # One by one: of a list, pycocotools' `area` fails beyond 255 masks with NumPy 2.
    return np.array([api.area(mask) for mask in masks], dtype=np.float64)


def from_predictions(
    truth: GroundTruth, predictions: Sequence[Mapping[str, Any]], kind: Kind
) -> Detections:
    """Predictions in COCO's results format (https://cocodataset.org/#format-results) as columns.

    Args:
        truth: The data set that they were made for.
        predictions: Each with `image_id`, `category_id`, `score`, and `segmentation` as compressed RLE for
            "segm" or `bbox` as [x, y, width, height] in pixels for "bbox".
        kind: What will be compared.

    Raises:
        DataError: One is of an unknown image or category, lacks a field, has a score that is not a number,
            or a mask of another size than the image.
    """
    field = "segmentation" if kind == "segm" else "bbox"
    count = len(predictions)
    image, category = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    boxes, score = np.zeros((count, 4)), np.zeros(count)
    masks: list[CocoRLE] = []
    # In one go: packed predictions become dictionaries as they are asked for.
    for index, prediction in enumerate(predictions):
        _check(truth, prediction, field, index)
        image[index] = truth.image_numbers[prediction["image_id"]]
        category[index] = truth.category_numbers[prediction["category_id"]]
        score[index] = prediction["score"]
        if kind == "segm":
            masks.append(prediction["segmentation"])
        else:
            boxes[index] = prediction["bbox"]
    return Detections(image, category, boxes, score, masks if kind == "segm" else None)


def _check(
    truth: GroundTruth, prediction: Mapping[str, Any], field: str, index: int
) -> None:
    """Says in words what the evaluation would stumble over, or take for a miss without a word."""
    where = f"prediction {index + 1}"
    for name in ("image_id", "category_id", "score", field):
        if name not in prediction:
            raise DataError(
                f"{where} has no {name!r}.", "COCO's results format needs it."
            )
    image_id, category_id = prediction["image_id"], prediction["category_id"]
    if not _is_known(image_id, truth.image_numbers):
        raise DataError(
            f"{where} is of the image {image_id!r}, which {truth.file} does not have.",
            "Evaluate on the images that the predictions were made for.",
        )
    if not _is_known(category_id, truth.category_numbers):
        raise DataError(
            f"{where} is of the category {category_id!r}, which {truth.file} does not have.",
            "Evaluate on a set with the classes that the model was trained for.",
        )
    score = prediction["score"]
    if not isinstance(score, _NUMBER) or math.isnan(score):
        raise DataError(
            f"{where} has a score that is not a number: {score!r}.", "Leave it out."
        )
    if field == "bbox" and not _is_box(prediction["bbox"]):
        raise DataError(
            f"{where} has a box that is not four numbers.",
            "A box is [x, y, width, height] in pixels.",
        )
    if field == "segmentation" and not _is_rle(prediction["segmentation"]):
        raise DataError(
            f"{where} has a mask that is not compressed RLE.",
            "COCO's results format needs {'size': [height, width], 'counts': '...'}.",
        )
    if field == "segmentation":
        require_size(truth, truth.image_numbers[image_id], prediction["segmentation"])


def _is_known(value: Any, numbers: dict[Id, int]) -> bool:
    return isinstance(value, int | str | np.integer) and value in numbers


def _is_box(bbox: Any) -> bool:
    return (
        isinstance(bbox, list | tuple | np.ndarray)
        and len(bbox) == 4
        and all(isinstance(value, _NUMBER) for value in bbox)
    )


def _is_rle(mask: Any) -> bool:
    return (
        isinstance(mask, dict)
        and isinstance(mask.get("counts"), str | bytes)
        and isinstance(mask.get("size"), list | tuple)
        and len(mask["size"]) == 2
    )


def require_size(truth: GroundTruth, image: int, mask: CocoRLE) -> None:
    """Checks that a mask that was found is as large as the annotations say that the image is.

    Args:
        truth: The data set.
        image: The number of the image.
        mask: Compressed RLE.

    Raises:
        DataError: It is not, so that nothing could ever match.
    """
    size = truth.image_sizes[image - 1]
    height, width = mask["size"]
    if size is not None and size != (width, height):
        raise DataError(
            f"{truth.image_names[image - 1]!r} is {width} x {height} pixels, and {truth.file} says"
            f" {size[0]} x {size[1]}.",
            "Is it the image that was annotated? `cvtk data check` lists all that differ.",
        )
