"""A folder of images beside a folder of instance masks: each value, or colour, of a mask is an object.

set/images/a.jpg  set/masks/a.png            one class, called "object"
set/images/a.jpg  set/masks/flower/a.png     a folder a class
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cvtk.data.formats.builder import Builder
from cvtk.data.formats.voc import read_index
from cvtk.data.masks import from_bitmap
from cvtk.data.types import Converted, Image
from cvtk.errors import DataError
from cvtk.io import find_images

_MANY = 5000


def read(path: Path) -> Converted:
    """Reads a folder that holds `images` (or the images themselves) and `masks`.

    A mask of the values 0 and 255 alone, or 0 and 1, is one object.
    """
    masks = path / "masks"
    if not masks.is_dir():
        raise DataError(
            f"{path} has no folder 'masks'.",
            "Put masks/NAME.png beside images/NAME.jpg.",
        )
    images = path / "images" if (path / "images").is_dir() else path
    classes = sorted(p for p in masks.iterdir() if p.is_dir())
    by_name: dict[str, list[tuple[str, Path]]] = {}
    for name, folder in [(p.name, p) for p in classes] or [("object", masks)]:
        for file in find_images(folder):
            key = file.relative_to(folder).with_suffix("").as_posix()
            by_name.setdefault(key, []).append((name, file))
    builder = Builder(path, [p.name for p in classes])
    for place in find_images(images):
        if place.is_relative_to(masks):
            continue
        image = builder.image(place, place.name)
        for name, file in by_name.pop(
            place.relative_to(images).with_suffix("").as_posix(), []
        ):
            _add(builder, image, name, file, path)
    for rest in by_name.values():
        for _, file in rest:
            builder.note(str(file.relative_to(path)), "left out: no image has its name")
    converted = builder.build()
    if not converted.dataset.images:
        raise DataError(
            f"{images} has no images.", "Put images/NAME.jpg beside masks/NAME.png."
        )
    return converted


def _add(builder: Builder, image: Image, name: str, file: Path, root: Path) -> None:
    index = read_index(file)
    width, height = image.size or (0, 0)
    if index.shape != (height, width):
        raise DataError(
            f"{file} is {index.shape[1]} x {index.shape[0]} pixels, its image {image.file_name} is "
            f"{width} x {height}.",
            "Mask and image must be of one size, as displayed.",
        )
    values = np.unique(index)
    values = values[values != 0]
    if len(values) > _MANY:
        raise DataError(
            f"{file} has {len(values)} different values, so it is no mask of instances.",
            "Instance masks are PNG, one value an object; JPEG blurs them.",
        )
    for value in values.tolist():
        item = f"{file.relative_to(root).as_posix()}, value {value}"
        builder.add(item, image, name, from_bitmap(index == value))
