"""What the readers share: building a data set, with notes on what did not fit."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw

from cvtk.data.images import probe
from cvtk.data.masks import area_and_bbox, from_bitmap, require_size, to_bitmap
from cvtk.data.types import (
    RLE,
    Annotation,
    Category,
    Converted,
    Dataset,
    Id,
    Image,
    Note,
    Polygons,
    Source,
)
from cvtk.errors import DataError

# A note on rectangles that COCO's boxes, which are upright, cannot hold.
TURNED = "a turned box became a polygon of its four corners"


class Builder:
    """Puts a data set together, checking each object as it comes.

    Args:
        root: The source's folder; images keep their place below it.
        names: Class names in their order, where the source has one; others follow as they come.
    """

    def __init__(self, root: Path, names: list[str] | None = None) -> None:
        self.root = root
        self.notes: list[Note] = []
        self.sources: dict[Id, Source] = {}
        self._images: list[Image] = []
        self._annotations: list[Annotation] = []
        self._classes: dict[str, int] = {}
        self._taken: set[str] = set()
        for name in names or []:
            self.category(name)

    def note(self, item: str, text: str) -> None:
        """Records a loss or change."""
        self.notes.append(Note(item, text))

    def category(self, name: str) -> int:
        """The id of a class; new names get the next one, from 1."""
        return self._classes.setdefault(name, len(self._classes) + 1)

    def image(
        self,
        source: Source,
        file_name: str,
        width: int | None = None,
        height: int | None = None,
        **extra: Any,
    ) -> Image:
        """Adds an image.

        Args:
            source: Where its file is.
            file_name: What the source calls it.
            width: As the source says, pixels.
            height: As the source says, pixels.
            **extra: Further fields of the image.

        Raises:
            DataError: Its size is neither said nor to be seen.
        """
        if isinstance(source, Path):
            facts = probe(source, decode=False)
            if not facts.error:
                if width and height and (width, height) != (facts.width, facts.height):
                    self.note(
                        file_name,
                        f"the annotations say {width} x {height} pixels, the image is {facts.width} x "
                        f"{facts.height}; kept as said, since the outlines belong to that size",
                    )
                width, height = width or facts.width, height or facts.height
            elif width and height:
                self.note(
                    file_name,
                    f"the image was not found ({source}); its annotations were converted",
                )
            else:
                raise DataError(
                    f"{file_name}: the image is {facts.error} ({source}), and the annotations do not say its "
                    "size.",
                    "Put the image beside the annotations.",
                )
        try:
            width, height = require_size(width, height)
        except DataError as error:
            raise DataError(
                f"{file_name}: {error.message}", "Correct the size in the annotations."
            ) from None
        name = self._free_name(source, file_name)
        image = Image(len(self._images) + 1, name, width, height, _raw(extra))
        self._images.append(image)
        self.sources[image.id] = source
        return image

    def _free_name(self, source: Source, file_name: str) -> str:
        """The name of an image relative to the root, numbered where another has it."""
        name = file_name
        if isinstance(source, Path):
            # Compared as absolute paths without "..": a root of "." holds everything else.
            root = Path(os.path.normpath(self.root.absolute()))
            place = Path(os.path.normpath(source.absolute()))
            inside = place.is_relative_to(root)
            name = place.relative_to(root).as_posix() if inside else source.name
        number, pure = 2, PurePosixPath(name)
        while name in self._taken:
            name = str(pure.with_name(f"{pure.stem}_{number}{pure.suffix}"))
            number += 1
        self._taken.add(name)
        return name

    def add(
        self,
        item: str,
        image: Image,
        name: str,
        segmentation: Polygons | RLE | None = None,
        bbox: list[float] | None = None,
        **extra: Any,
    ) -> Annotation | None:
        """Adds an object, or notes why it cannot be one.

        Args:
            item: What a note calls it.
            image: Where it is.
            name: Its class.
            segmentation: Its mask.
            bbox: [x, y, width, height] in pixels, where there is no mask.
            **extra: Further fields.
        """
        if not name.strip():
            self.note(item, "left out: it has no class name")
            return None
        if not segmentation and bbox is None:
            self.note(item, "left out: it has neither mask nor box")
            return None
        try:
            area, box = _measure(item, image, segmentation, bbox)
        except DataError as error:
            if segmentation is None:
                raise
            self.note(item, f"left out: {error.message}")
            return None
        if area <= 0:
            self.note(item, "left out: it covers no pixel of its image")
            return None
        annotation = Annotation(
            len(self._annotations) + 1,
            image.id,
            self.category(name),
            box,
            area,
            0,
            extra=_raw(extra),
        )
        annotation.segmentation = segmentation or []
        self._annotations.append(annotation)
        return annotation

    def build(self) -> Converted:
        """The data set."""
        categories = [Category(number, name) for name, number in self._classes.items()]
        dataset = Dataset(self._images, self._annotations, categories, folder=self.root)
        return Converted(dataset, self.sources, self.notes)


def _measure(
    item: str,
    image: Image,
    segmentation: Polygons | RLE | None,
    bbox: list[float] | None,
) -> tuple[float, list[float]]:
    """Area and box of an object: of its mask, else of its box as far as the image reaches."""
    width, height = image.size or (0, 0)
    if segmentation:
        return area_and_bbox(segmentation, width, height)
    assert bbox is not None
    if not np.isfinite(bbox).all():
        raise DataError(
            f"{item} has a box that is not a number: {bbox}.", "Label it again."
        )
    x0, y0 = max(bbox[0], 0.0), max(bbox[1], 0.0)
    x1, y1 = min(bbox[0] + bbox[2], width), min(bbox[1] + bbox[3], height)
    inside = [x0, y0, x1, y1] == _corners(bbox)
    box = bbox if inside else [x0, y0, x1 - x0, y1 - y0]
    # Without a mask, COCO's area can only be that of the box.
    return max(box[2], 0.0) * max(box[3], 0.0), box


def _corners(box: list[float]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _raw(extra: dict[str, Any]) -> dict[str, Raw] | msgspec.UnsetType:
    kept = {k: Raw(msgspec.json.encode(v)) for k, v in extra.items() if v is not None}
    return kept or UNSET


def is_score(value: Any) -> bool:
    """Whether a value is a score of a prediction, 0 to 1."""
    return isinstance(value, (int, float)) and 0 <= value <= 1


def merge_parts(
    segmentations: list[Polygons | RLE], width: int, height: int
) -> Polygons | RLE:
    """Several parts of one object as one mask: polygons stay polygons, else a bitmap is made."""
    if all(isinstance(s, list) for s in segmentations):
        return [polygon for s in segmentations if isinstance(s, list) for polygon in s]
    bitmap = to_bitmap(segmentations[0], width, height)
    for other in segmentations[1:]:
        bitmap |= to_bitmap(other, width, height)
    return from_bitmap(bitmap)
