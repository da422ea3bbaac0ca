"""What the writers of labelling tools share: an object as polygons, as a box, or as a bitmap."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from cvtk.data.crops import Crop, cut_out
from cvtk.data.masks import check_polygons, to_rle
from cvtk.data.outlines import moved, outline
from cvtk.data.types import RLE, Annotation, Image, Polygons
from cvtk.errors import DataError

# What becomes of a crowd in a tool that has none.
CROWD = "there are no crowds in {}: it is an object like any other now"


@dataclass(frozen=True)
class Outlined:
    """An object as labelling tools draw it; one of the three is there.

    Attributes:
        polygons: Its parts, in pixels.
        crop: Its bitmap, where polygons cannot hold it: it has holes, or is a crowd.
        box: [x, y, width, height], of an object that has no mask.
    """

    polygons: Polygons = field(default_factory=list)
    crop: Crop | None = None
    box: list[float] | None = None


def outlined(annotation: Annotation, image: Image) -> Outlined:
    """An object in the form that a person can edit best.

    Polygons stay as they are; a bitmap without holes becomes polygons within a pixel; one with holes stays.

    Raises:
        DataError: It has neither mask nor box, or its mask cannot be used.
    """
    segmentation = annotation.segmentation
    width, height = image.size or (0, 0)
    if segmentation is None:
        if annotation.box is None:
            raise DataError("It has neither mask nor box.")
        return Outlined(box=annotation.box)
    if isinstance(segmentation, list):
        check_polygons(segmentation, width, height)
        return Outlined(polygons=segmentation)
    crop = crop_of(segmentation, image)
    if annotation.is_crowd:
        return Outlined(crop=crop)
    outer, holes = outline(crop.mask)
    if holes:
        return Outlined(crop=crop)
    return Outlined(polygons=moved(outer, crop.x, crop.y))


def crop_of(segmentation: Polygons | RLE, image: Image) -> Crop:
    """The bitmap of a mask, cut out.

    Raises:
        DataError: It cannot be drawn, or has no pixel in the image.
    """
    width, height = image.size or (0, 0)
    crop = cut_out(to_rle(segmentation, width, height))
    if crop is None:
        raise DataError("Its mask is empty.")
    return crop


def description_of(annotation: Annotation) -> str:
    """What somebody wrote about an object; empty where nothing."""
    if annotation.extra is UNSET or "description" not in annotation.extra:
        return ""
    text = msgspec.json.decode(annotation.extra["description"])
    return text if isinstance(text, str) else ""
