"""LabelMe (https://github.com/wkentaro/labelme): one JSON file an image, with a list of shapes."""

from __future__ import annotations

import base64
import binascii
import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from cvtk.data.formats import labelme_xml
from cvtk.data.formats.builder import Builder, is_score, merge_parts
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.labelme_write import SCORE_TEXT, write
from cvtk.data.images import orientation_of
from cvtk.data.json_text import parse_json
from cvtk.data.masks import (
    box_polygon,
    ellipse_polygon,
    from_bitmap,
    polygon_box,
    require_size,
)
from cvtk.data.types import (
    RLE,
    Converted,
    Polygons,
    Source,
)
from cvtk.errors import DataError
from cvtk.io import is_file, read_bytes

# What LabelMe's own converters leave out.
_IGNORED = "__ignore__"
# Turned rectangles, as LabelMe and its relatives call them.
__all__ = ["File", "Shape", "parse_shape", "read", "write"]

_TURNED = ("oriented_rectangle", "rotation")


class Shape(Struct):
    """One shape; `mask` is a PNG in base64 that fills the box of `points`."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = "polygon"
    group_id: int | str | None = None
    mask: str | None = None
    flags: dict[str, Any] | None = None
    description: str | None = None
    score: Any = None


class File(Struct):
    """One annotation file."""

    shapes: list[Shape]
    imagePath: str
    imageData: str | None = None
    imageWidth: int | None = None
    imageHeight: int | None = None


def parse_shape(shape: Shape, width: int, height: int) -> Polygons | RLE:
    """The mask of a shape in an image of this size.

    Raises:
        DataError: It is a point or a line, or its numbers do not fit its type.
    """
    kind, points = shape.shape_type or "polygon", shape.points
    flat = [v for point in points for v in point]
    if kind == "polygon" or (kind in _TURNED and len(points) == 4):
        return [flat]
    if kind == "rectangle" and len(points) in (2, 4):
        xs, ys = flat[::2], flat[1::2]
        return [box_polygon(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))]
    if kind == "circle" and len(points) == 2:  # its centre, and a point on it
        (cx, cy), (x, y) = points
        radius = float(np.hypot(x - cx, y - cy))
        return [ellipse_polygon(cx, cy, radius, radius)]
    if kind == "mask" and len(points) == 2 and shape.mask:
        return _mask(shape.mask, points, width, height)
    if kind in ("rectangle", "circle", "mask"):
        raise DataError(f"The {kind} has {len(points)} points, or no mask data.")
    raise DataError(f"A {kind!r} has no area, so it cannot be a mask.")


def _mask(text: str, points: list[tuple[float, float]], width: int, height: int) -> RLE:
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(base64.b64decode(text, validate=False))) as png:
            require_size(*png.size)
            part = (
                np.asarray(png.convert("L")) > 0 if png.mode != "1" else np.asarray(png)
            )
    except DataError:
        raise
    except Exception as error:  # whatever broken PNG data leads Pillow to
        raise DataError(f"The PNG of the mask cannot be read ({error}).") from None
    require_size(width, height)
    left, top = (round(min(p[k] for p in points)) for k in (0, 1))
    if max(abs(left), abs(top)) > 10**6:
        raise DataError("The mask lies far outside its image.")
    full = np.zeros((height, width), np.uint8)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + part.shape[1], width), min(top + part.shape[0], height)
    if x1 > x0 and y1 > y0:
        full[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]
    return from_bitmap(full)


def _embedded(file: Path, text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            f"{file}: the embedded image cannot be decoded ({error})."
        ) from None


def _embedded_again(file: Path) -> bytes:
    return _embedded(file, parse_json(read_bytes(file), file, File).imageData or "")


def read(path: Path) -> Converted:
    """Reads a LabelMe file, or all of a folder.

    Shapes of one label and one `group_id` are one object, as LabelMe's own converter has it.

    Raises:
        DataError: A file is not of LabelMe; the message names the file and the item.
    """
    root = path if path.is_dir() else path.parent
    files = [path]
    if path.is_dir():
        files = sorted([*root.rglob("*.json"), *root.rglob("*.xml")])
    builder, finder, found = Builder(root), Finder(root), 0
    for file in files:
        data = read_bytes(file)
        if file.suffix == ".xml" and b"<polygon>" in data:
            found += 1
            labelme_xml.read_file(data, file, builder, finder)
        elif b'"shapes"' in data or not path.is_dir():
            found += 1
            _read_file(parse_json(data, file, File), file, builder, finder)
        else:
            name = file.relative_to(root).as_posix()
            builder.note(name, "left out: it is not a LabelMe file")
    if not found:
        raise DataError(
            f"{path} has no LabelMe file.",
            "LabelMe writes one .json beside each image.",
        )
    return builder.build()


def _read_file(content: File, file: Path, builder: Builder, finder: Finder) -> None:
    place: Source = finder.find(content.imagePath, file.parent)
    name = content.imagePath.replace("\\", "/").rsplit("/", 1)[-1]
    if isinstance(place, Path) and not is_file(place) and content.imageData:
        width, height = _size_of(_embedded(file, content.imageData), file)
        content.imageWidth, content.imageHeight = (
            content.imageWidth or width,
            content.imageHeight or height,
        )
        # The image is read again when it is written: thousands of them do not fit in memory.
        place = functools.partial(_embedded_again, file)
        folder = file.parent.relative_to(builder.root).as_posix()
        name = name if folder == "." else f"{folder}/{name}"
    try:
        image = builder.image(place, name, content.imageWidth, content.imageHeight)
    except DataError as error:
        raise DataError(f"{file}: {error.message}", error.remedy) from None
    groups: dict[object, list[tuple[str, Shape, Polygons | RLE]]] = {}
    width, height = image.size or (0, 0)
    for index, shape in enumerate(content.shapes):
        item = f"{file.name}, shapes[{index}] ({shape.label})"
        if shape.label == _IGNORED:
            builder.note(item, "left out: LabelMe's name for what is to be ignored")
            continue
        try:
            mask = parse_shape(shape, width, height)
        except DataError as error:
            builder.note(item, f"left out: {error.message}")
            continue
        key = index if shape.group_id is None else (shape.label, shape.group_id)
        groups.setdefault(key, []).append((item, shape, mask))
    for parts in groups.values():
        item, shape, mask = parts[0]
        if len(parts) > 1:
            try:
                mask = merge_parts([m for _, _, m in parts], width, height)
            except DataError as error:
                builder.note(item, f"left out: {error.message}")
                continue
        is_box = shape.shape_type == "rectangle" and len(parts) == 1
        box = polygon_box(mask) if is_box and isinstance(mask, list) else None
        builder.add(
            item,
            image,
            shape.label,
            None if box else mask,
            box,
            group_id=shape.group_id,
            flags=shape.flags or None,
            description=_described(shape.description),
            predicted_score=shape.score if is_score(shape.score) else None,
        )


def _described(text: str | None) -> str | None:
    """What a person wrote; not the score that the writer put there."""
    return None if not text or SCORE_TEXT.fullmatch(text) else text


def _size_of(data: bytes, file: Path) -> tuple[int, int]:
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data)) as image:
            width, height = image.size
            return (height, width) if orientation_of(image) >= 5 else (width, height)
    except Exception as error:  # whatever broken image data leads Pillow to
        raise DataError(
            f"{file}: the embedded image cannot be read ({error})."
        ) from None
