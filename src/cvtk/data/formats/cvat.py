"""CVAT for images 1.1 (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/): one XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from cvtk.data.formats.builder import TURNED, Builder, is_score, merge_parts
from cvtk.data.formats.cvat_write import write
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.xml_text import number, read_xml
from cvtk.data.masks import (
    ellipse_polygon,
    from_bitmap,
    polygon_box,
    require_size,
    turned_box,
)
from cvtk.data.types import RLE, Converted, Image, Polygons
from cvtk.errors import DataError

__all__ = ["parse_mask", "parse_shape", "read", "write"]


def parse_mask(element: ElementTree.Element, width: int, height: int, item: str) -> RLE:
    """A `<mask>`: run lengths in row order, background first, of the box at left, top."""
    left, top, w, h = (
        int(number(element.get(k), item, k)) for k in ("left", "top", "width", "height")
    )
    require_size(w, h)
    runs = [int(number(v, item, "rle")) for v in (element.get("rle") or "").split(",")]
    if min(runs) < 0 or sum(runs) != w * h:
        raise DataError(
            f"{item}: the runs of its mask do not add up to {w} x {h} pixels."
        )
    part = np.repeat(np.arange(len(runs)) % 2, runs).reshape(h, w)
    if left < 0 or top < 0 or left + w > width or top + h > height:
        raise DataError(f"{item}: its mask reaches out of the image.")
    full = np.zeros((height, width), np.uint8)
    full[top : top + h, left : left + w] = part
    return from_bitmap(full)


def parse_shape(
    element: ElementTree.Element, width: int, height: int, item: str
) -> Polygons | RLE:
    """The mask of a shape in an image of this size.

    Raises:
        DataError: A number is missing, or the shape has no area.
    """
    kind = element.tag
    angle = number(
        element.get("rotation", "0"), item, "rotation"
    )  # degrees, clockwise, about the centre
    if kind == "box":
        x0, y0, x1, y1 = (
            number(element.get(k), item, k) for k in ("xtl", "ytl", "xbr", "ybr")
        )
        return [turned_box(x0, y0, x1 - x0, y1 - y0, angle, about_centre=True)]
    if kind == "ellipse":
        cx, cy, rx, ry = (
            number(element.get(k), item, k) for k in ("cx", "cy", "rx", "ry")
        )
        return [ellipse_polygon(cx, cy, rx, ry, angle)]
    if kind == "polygon":
        pairs = [
            p.split(",") for p in (element.get("points") or "").split(";") if p.strip()
        ]
        if any(len(pair) != 2 for pair in pairs):
            raise DataError(f"{item}: its points are not pairs of numbers.")
        return [[number(v, item, "a coordinate") for pair in pairs for v in pair]]
    if kind == "mask":
        return parse_mask(element, width, height, item)
    raise DataError(f"{item}: a {kind!r} has no area, so it cannot be a mask.")


def read(path: Path) -> Converted:
    """Reads annotations.xml, or the folder of an export.

    Polygons and masks of one group and label are one object, as in CVAT's own COCO export.
    """
    file = path / "annotations.xml" if path.is_dir() else path
    tree = read_xml(file)
    if tree.tag != "annotations":
        raise DataError(
            f"{file} is not of CVAT: it starts with <{tree.tag}>.",
            "Is this the right file?",
        )
    if tree.find("track") is not None and tree.find("image") is None:
        raise DataError(
            f"{file} is 'CVAT for video'.",
            "Export the task again as 'CVAT for images 1.1', or as COCO.",
        )
    names = [
        e.text.strip()
        for e in tree.findall("./meta//labels/label/name")
        if e.text and e.text.strip()
    ]
    builder, finder = (
        Builder(file.parent, list(dict.fromkeys(names))),
        Finder(file.parent),
    )
    for index, element in enumerate(tree.findall("image")):
        name = element.get("name") or ""
        item = f"{file}: image {index + 1} ({name})"
        if not name:
            raise DataError(f"{item} has no name.", "Export it again.")
        width = int(number(element.get("width"), item, "width"))
        height = int(number(element.get("height"), item, "height"))
        try:
            subset = element.get("subset") or ""
            near = file.parent / "images" / subset
            place = finder.find(name, near if near.is_dir() else None)
            split = subset.lower() or None
            image = builder.image(place, name, width, height, split=split)
        except DataError as error:
            raise DataError(f"{item}: {error.message}", error.remedy) from None
        _read_image(element, image, name, builder)
    return builder.build()


def _read_image(
    element: ElementTree.Element, image: Image, name: str, builder: Builder
) -> None:
    width, height = image.size or (0, 0)
    groups: dict[object, list[tuple[str, ElementTree.Element, Polygons | RLE]]] = {}
    for index, shape in enumerate(element):
        label = shape.get("label") or ""
        item = f"{name}, {shape.tag} {index + 1} ({label})"
        if shape.tag == "tag":
            builder.note(item, "left out: a tag is of the whole image")
            continue
        try:
            mask = parse_shape(shape, width, height, item)
        except DataError as error:
            builder.note(item, f"left out: {error.message.removeprefix(item + ': ')}")
            continue
        group = shape.get("group_id", "0")
        key = (
            (label, group)
            if group != "0" and shape.tag in ("polygon", "mask")
            else index
        )
        groups.setdefault(key, []).append((item, shape, mask))
    for parts in groups.values():
        item, shape, mask = parts[0]
        try:
            mask = (
                mask
                if len(parts) == 1
                else merge_parts([m for _, _, m in parts], width, height)
            )
        except DataError as error:
            builder.note(item, f"left out: {error.message}")
            continue
        attributes = {
            a.get("name") or "": a.text or "" for a in shape.findall("attribute")
        }
        score = _score(attributes.get("score", ""))
        if score is not None:
            del attributes["score"]
        occluded = 1 if shape.get("occluded") == "1" else None
        box = None
        if shape.tag == "box" and isinstance(mask, list):
            if _is_turned(shape):
                builder.note(item, TURNED)
            else:
                box = polygon_box(mask)
        builder.add(
            item,
            image,
            shape.get("label") or "",
            None if box else mask,
            box,
            attributes=attributes or None,
            occluded=occluded,
            predicted_score=score,
        )


def _score(text: str) -> float | None:
    """The attribute `score`, which the writer gives to predictions."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if is_score(value) else None


def _is_turned(shape: ElementTree.Element) -> bool:
    return float(shape.get("rotation", "0")) % 360 != 0
