"""Writing LabelMe files; see `labelme` for the format."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cvtk.data.crops import Crop
from cvtk.data.formats.shapes import CROWD, description_of, outlined
from cvtk.data.images import resolve
from cvtk.data.relocate import copy_image
from cvtk.data.types import Annotation, Dataset, Id, Image, Note, Source
from cvtk.errors import DataError

# What a description says where nobody described the object: LabelMe shows it, and so the score is seen.
SCORE_TEXT = re.compile(r"score [01]\.\d\d")


def write(
    dataset: Dataset,
    sources: dict[Id, Source],
    folder: Path,
    notes: list[Note],
    images: bool = True,
) -> None:
    """Writes a folder of images, each with its LabelMe file.

    Args:
        dataset: What to write.
        sources: Where the images are.
        folder: An empty folder.
        notes: Gets what LabelMe cannot hold.
        images: Whether the images come along.
    """
    names = {category.id: category.name for category in dataset.categories}
    by_image, taken = dataset.by_image(), set()
    for image in dataset.images:
        target = resolve(folder, image.file_name)
        file = target.with_suffix(".json")
        if file in taken:  # a.jpg beside a.png
            file = target.with_name(target.name + ".json")
        taken.add(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        if images:
            copy_image(sources.get(image.id), folder, image.file_name)
        width, height = image.size or (None, None)
        content: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": _shapes(by_image[image.id], names, image, notes),
            "imagePath": target.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))


def _shapes(
    annotations: list[Annotation], names: dict[Id, str], image: Image, notes: list[Note]
) -> list[dict[str, Any]]:
    """The shapes of an image's file; parts of one object get a `group_id`."""
    shapes: list[dict[str, Any]] = []
    for group, annotation in enumerate(annotations, 1):
        item = f"annotation {annotation.id} ({image.file_name})"
        name = names.get(annotation.category_id, "")
        try:
            found = shapes_of(annotation, name, image)
        except DataError as error:
            notes.append(Note(item, f"left out: {error.message}"))
            continue
        if annotation.is_crowd:
            notes.append(Note(item, CROWD.format("LabelMe")))
        if len(found) > 1:
            found = [{**shape, "group_id": group} for shape in found]
        shapes += found
    return shapes


def shapes_of(annotation: Annotation, name: str, image: Image) -> list[dict[str, Any]]:
    """An object as LabelMe shapes: a polygon each part, one `mask` shape for what polygons cannot hold.

    The score is kept as the field `score`, which LabelMe saves again and X-AnyLabeling shows; LabelMe shows
    descriptions.

    Raises:
        DataError: The object cannot be drawn.
    """
    score = annotation.score
    told = "" if score is None else f"score {score:.2f}"
    base: dict[str, Any] = {
        "label": name,
        "group_id": None,
        "description": description_of(annotation) or told,
        "flags": {},
        "mask": None,
    }
    if score is not None:
        base["score"] = round(score, 4)
    shape = outlined(annotation, image)
    if shape.box is not None:
        x, y, w, h = shape.box
        return [{**base, "shape_type": "rectangle", "points": [[x, y], [x + w, y + h]]}]
    if shape.crop is not None:
        return [{**base, **_bitmap(shape.crop)}]
    return [
        {
            **base,
            "shape_type": "polygon",
            "points": np.reshape(polygon, (-1, 2)).tolist(),
        }
        for polygon in shape.polygons
    ]


def _bitmap(crop: Crop) -> dict[str, Any]:
    """The fields of a `mask` shape: a PNG, and the first and last pixel of its box."""
    from PIL import Image as Pillow

    height, width = crop.mask.shape
    buffer = io.BytesIO()
    Pillow.fromarray(crop.mask).save(buffer, "PNG")
    return {
        "shape_type": "mask",
        "points": [
            [crop.x, crop.y],
            [crop.x + width - 1, crop.y + height - 1],
        ],
        "mask": base64.b64encode(buffer.getvalue()).decode("ascii"),
    }
