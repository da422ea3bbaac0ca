"""The true objects of a data set, made ready for matching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from cvtk.data import Annotation, Dataset, Image, read
from cvtk.errors import DataError
from cvtk.io import CocoRLE

Id: TypeAlias = int | str

COCO_LIMITS = (100, 300, 1000)
"""Detections per image (and class) at which MMDetection and this project report, in ascending order."""

_REMEDY = "`cvtk data check FILE --fix OUT.json` drops what cannot be used."


@dataclass(frozen=True, slots=True)
class TrueObject:
    """An object to be found.

    Attributes:
        image: The number of its image, from 1.
        category: The number of its category, from 1.
        bbox: [x, y, width, height] in pixels.
        area: Of its mask, or of its box where it has no mask, in square pixels.
        is_crowd: Whether it stands for many objects. It need not be found, and finding it is no mistake.
        mask: Compressed RLE, or None where the set was read for boxes only.
    """

    image: int
    category: int
    bbox: list[float]
    area: float
    is_crowd: bool
    mask: CocoRLE | None


@dataclass(frozen=True)
class GroundTruth:
    """All true objects of a data set.

    Images and categories are numbered from 1 in the order of their ids, and objects in the order of the
    file. pycocotools takes an object with the id 0 for "no object", so the ids of a file never reach it.

    Attributes:
        file: What messages call the set.
        image_numbers: The number of each image, by its id.
        image_names: The file name of each image, by its number less 1.
        image_sizes: (width, height) of each image in pixels, or None, by its number less 1.
        category_numbers: The number of each category, by its id.
        classes: The class names, by the number of their category less 1.
        class_order: The class names in the order of the file.
        objects: In the order of the file.
        notes: What a reader of the metrics should know, as sentences.
        image_groups: The name of the group of each image, by its number less 1; empty where it is none's. Images of
            a group resemble each other.
    """

    file: str
    image_numbers: dict[Id, int]
    image_names: list[str]
    image_sizes: list[tuple[int, int] | None]
    category_numbers: dict[Id, int]
    classes: list[str]
    class_order: list[str]
    objects: list[TrueObject]
    notes: list[str]
    image_groups: list[str] = field(default_factory=list)

    @property
    def has_masks(self) -> bool:
        """Whether the objects carry masks."""
        return all(true.mask is not None for true in self.objects)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(images,) the group of each image, counted from 0; an image of no group is one for itself."""
        names = self.image_groups or [""] * len(self.image_names)
        numbers: dict[object, int] = {}
        keys = [name or index for index, name in enumerate(names)]
        return np.array([numbers.setdefault(k, len(numbers)) for k in keys], np.int64)

    def most_objects(self) -> tuple[str, int]:
        """The image with the most objects that have to be found: its file name, and how many."""
        counts = Counter(true.image for true in self.objects if not true.is_crowd)
        if not counts:
            return "", 0
        number, objects = counts.most_common(1)[0]
        return self.image_names[number - 1], objects


def ground_truth(data: Dataset | str | Path, *, masks: bool = True) -> GroundTruth:
    """Reads the true objects of a data set.

    Args:
        data: The data set, or a COCO file.
        masks: Whether masks are needed; without them only boxes can be evaluated.

    Raises:
        FileError: The file cannot be read.
        DataError: It is not COCO, ids or class names occur twice, or an object has no usable mask or box.
    """
    dataset = data if isinstance(data, Dataset) else read(data)
    file = str(dataset.file or "the data set")
    _require_unique((image.id for image in dataset.images), "image", "id", file)
    _require_unique((c.id for c in dataset.categories), "category", "id", file)
    _require_unique(dataset.class_names, "category", "name", file)
    images = sorted(dataset.images, key=lambda image: _id_order(image.id))
    categories = sorted(dataset.categories, key=lambda c: _id_order(c.id))
    image_numbers = {image.id: n for n, image in enumerate(images, 1)}
    category_numbers = {category.id: n for n, category in enumerate(categories, 1)}
    objects = []
    for annotation in dataset.annotations:
        image_number = image_numbers.get(annotation.image_id)
        category_number = category_numbers.get(annotation.category_id)
        if image_number is None or category_number is None:
            continue
        image = images[image_number - 1]
        mask = _mask(annotation, image, file) if masks else None
        bbox, area = _bbox_and_area(annotation, mask, image, file)
        objects.append(
            TrueObject(
                image_number, category_number, bbox, area, annotation.is_crowd, mask
            )
        )
    left_out = len(dataset.annotations) - len(objects)
    return GroundTruth(
        file=file,
        image_numbers=image_numbers,
        image_names=[image.file_name for image in images],
        image_sizes=[image.size for image in images],
        category_numbers=category_numbers,
        classes=[category.name for category in categories],
        class_order=dataset.class_names,
        objects=objects,
        notes=[_left_out(left_out, file)] if left_out else [],
        image_groups=[image.group for image in images],
    )


def detection_limits(truth: GroundTruth | Dataset) -> tuple[int, ...]:
    """How many detections per image (and class) are counted, as the data ask for it.

    The limits are MMDetection's 100, 300 and 1000. Where an image holds more than 1000 objects, one that
    covers them, in whole thousands, comes on top. Which of them the headline AP uses follows the data too:
    see `Metrics.headline`.

    Args:
        truth: The true objects.

    Returns:
        The limits, ascending: (100, 300, 1000) for data of at most 1000 objects per image.
    """
    if isinstance(truth, Dataset):
        truth = ground_truth(truth, masks=False)
    _, objects = truth.most_objects()
    if objects <= COCO_LIMITS[-1]:
        return COCO_LIMITS
    return (*COCO_LIMITS, -(-objects // 1000) * 1000)


def _id_order(value: Id) -> tuple[bool, Id]:
    """Sorts numbers as numbers, and texts after them."""
    return isinstance(value, str), value


def _require_unique(values: Iterable[Id], item: str, field: str, file: str) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise DataError(
            f"{file}: the {field} {repeated[0]!r} belongs to more than one {item}.",
            f"Give each {item} a {field} of its own.",
        )


def _left_out(count: int, file: str) -> str:
    what = "1 annotation names" if count == 1 else f"{count} annotations name"
    return f"{what} an image or a category that {file} does not have, and cannot count."


def _mask(annotation: Annotation, image: Image, file: str) -> CocoRLE:
    """The mask of an annotation, checked, as compressed RLE."""
    from cvtk.data.masks import to_rle

    where = f"{file}: annotation {annotation.id!r} of {image.file_name!r}"
    try:
        segmentation = annotation.segmentation
        if segmentation is None:
            raise DataError("It has no mask.", _REMEDY)
        size = image.size
        if size is None and not isinstance(segmentation, list):
            size = (segmentation.size[1], segmentation.size[0])
        width, height = size or (None, None)  # `to_rle` says what is wrong with None
        return to_rle(segmentation, width, height)  # type: ignore[arg-type]
    except DataError as error:
        raise DataError(f"{where}: {error.message}", error.remedy) from None


def _bbox_and_area(
    annotation: Annotation, mask: CocoRLE | None, image: Image, file: str
) -> tuple[list[float], float]:
    """The box and the area of an annotation; what it does not say is measured on its mask.

    Raises:
        DataError: There is no box of four numbers, and no mask to measure.
    """
    from pycocotools import mask as api

    bbox = None if annotation.bbox is UNSET else annotation.bbox
    area = None if annotation.area is UNSET else annotation.area
    if annotation.has_mask and (bbox is None or area is None):
        mask = mask or _mask(annotation, image, file)
        bbox = bbox or [float(value) for value in api.toBbox(mask)]
        area = float(api.area(mask)) if area is None else area
    if bbox is None or len(bbox) != 4:
        raise DataError(
            f"{file}: annotation {annotation.id!r} of {image.file_name!r} has no box of four numbers.",
            _REMEDY,
        )
    if area is None:
        area = bbox[2] * bbox[3]
    return bbox, float(area)
