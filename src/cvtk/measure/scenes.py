"""What is measured: an image and its objects, whether a model found them or people drew them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import resolve
from cvtk.data.masks import to_rle
from cvtk.data.types import Annotation, Dataset, Id, Image, show_id
from cvtk.errors import CvtkError, DataError
from cvtk.io import CocoRLE
from cvtk.log import logger
from cvtk.results import Result

_CHECK = "See `cvtk data check FILE`; with --fix OUT.json it drops what cannot be used."


@dataclass(frozen=True)
class Item:
    """One object.

    Attributes:
        id: Its id in the COCO file; of results, their number from 1 on.
        name: Its class.
        score: 0 to 1; NaN for an annotation.
        box: x, y, width, height in pixels; None where only a mask is given.
        mask: Compressed RLE of the image's size; None where only a box is given.
    """

    id: Id
    name: str
    score: float
    box: Sequence[float] | None
    mask: CocoRLE | None


@dataclass(frozen=True)
class Scene:
    """One image and its objects.

    Attributes:
        name: What the image is called in the tables.
        height: Pixels as displayed.
        width: Pixels as displayed.
        classes: All classes that there could be.
        items: The objects.
        picture: The image file, or its pixels (height, width, 3) in RGB; None where colours are not to be measured.
    """

    name: str
    height: int
    width: int
    classes: tuple[str, ...]
    items: list[Item]
    picture: Path | NDArray[np.uint8] | None


def scenes_of_results(
    results: Iterable[Result], *, colours: bool, score: float
) -> Iterator[Scene]:
    """Each result with its objects of at least a score; ids count on from image to image, as in COCO files."""
    number = 0
    for result in results:
        items = []
        for i, name in enumerate(result.names):
            number += 1
            if result.scores[i] >= score:
                mask = None if result.masks is None else result.masks[i]
                box = result.bboxes[i].tolist()
                items.append(Item(number, name, float(result.scores[i]), box, mask))
        yield Scene(
            result.name,
            result.height,
            result.width,
            result.classes,
            items,
            _picture_of(result) if colours else None,
        )


def _picture_of(result: Result) -> Path | NDArray[np.uint8]:
    return result.path if result.pixels is None else result.pixels


def scenes_of_dataset(
    dataset: Dataset, *, images: Path | None, colours: bool, score: float
) -> Iterator[Scene]:
    """Each image of a COCO file with its objects; crowds, which are many objects in one mask, are left out.

    Args:
        dataset: Annotations or predictions.
        images: The folder that file names are relative to; that of the data set if None.
        colours: Whether they are to be measured.
        score: The lowest score of a prediction; annotations have none, and all count.

    Raises:
        DataError: A mask is damaged, an image has no size, or an annotation points nowhere.
    """
    _require_known_ids(dataset)
    crowds = sum(annotation.is_crowd for annotation in dataset.annotations)
    if crowds:
        logger.info(f"Crowds, which are not measured: {crowds}.")
    predicted = any(not math.isnan(_score(a)) for a in dataset.annotations)
    if colours and predicted and images is None:
        # Beside the predictions lie drawings of the same names, with coloured masks on them.
        logger.info(
            "No colours: name the folder of the images with --images (images=... in Python)."
        )
        colours = False
    names = {category.id: category.name for category in dataset.categories}
    by_image = dataset.by_image()
    for image in dataset.images:
        if image.size is None:
            raise DataError(f"{image.describe()} has no width and height.", _CHECK)
        width, height = image.size
        items = [
            _item(annotation, names[annotation.category_id], image)
            for annotation in by_image[image.id]
            # Not "score >= limit": that is false for an annotation, whose score is NaN.
            if not annotation.is_crowd and not _score(annotation) < score
        ]
        folder = dataset.folder if images is None else images
        picture = resolve(folder, image.file_name) if colours else None
        classes = tuple(dataset.class_names)
        yield Scene(image.file_name, height, width, classes, items, picture)


def _require_known_ids(dataset: Dataset) -> None:
    """Checks that each annotation is of an image and a category that there are."""
    images = {image.id for image in dataset.images}
    categories = {category.id for category in dataset.categories}
    for annotation in dataset.annotations:
        if annotation.image_id not in images:
            lacking = f"image {show_id(annotation.image_id)}"
        elif annotation.category_id not in categories:
            lacking = f"category {show_id(annotation.category_id)}"
        else:
            continue
        raise DataError(
            f"annotation {show_id(annotation.id)} is of {lacking}, which the file does not have.",
            _CHECK,
        )


def _item(annotation: Annotation, name: str, image: Image) -> Item:
    mask: dict[str, Any] | None = None
    try:
        segmentation = annotation.segmentation
        if segmentation and image.size:
            mask = to_rle(segmentation, *image.size)
    except CvtkError as error:
        raise DataError(
            f"annotation {show_id(annotation.id)} of {image.describe()}: {error.message}",
            _CHECK,
        ) from None
    return Item(annotation.id, name, _score(annotation), annotation.box, mask)


def _score(annotation: Annotation) -> float:
    """The score of a prediction; NaN for an annotation."""
    return math.nan if annotation.score is None else annotation.score
