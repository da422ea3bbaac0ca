"""VGG Image Annotator 2 (https://www.robots.ox.ac.uk/~vgg/software/via/): a project, or its exported JSON."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import Struct

from cvtk.data.formats.builder import Builder
from cvtk.data.formats.finder import Finder
from cvtk.data.json_text import parse_json
from cvtk.data.masks import box_polygon, ellipse_polygon, polygon_box
from cvtk.data.types import Converted, Polygons
from cvtk.errors import DataError
from cvtk.io import read_bytes

_CLASS_KEYS = ("class", "label", "name", "category", "type", "object", "species")


class Region(Struct):
    """One shape and its attributes."""

    shape_attributes: dict[str, Any]
    region_attributes: dict[str, Any] = {}


class Entry(Struct):
    """One image and its regions."""

    filename: str
    regions: list[Region] | dict[str, Region] = []


class Project(Struct, rename={"metadata": "_via_img_metadata"}):
    """A saved project; its other parts are settings of the tool."""

    metadata: dict[str, Entry]


def parse_shape(shape: dict[str, Any]) -> Polygons:
    """The outline of a region.

    Raises:
        DataError: It is a point or a line, or a number is missing.
    """
    kind = shape.get("name")

    def value(key: str) -> float:
        found = shape.get(key)
        if (
            isinstance(found, bool)
            or not isinstance(found, (int, float))
            or abs(found) > 1e12
        ):
            raise DataError(f"The {kind} has no number {key!r}, but {found!r}.")
        return float(found)

    if kind == "rect":
        return [box_polygon(value("x"), value("y"), value("width"), value("height"))]
    if kind == "circle":
        return [ellipse_polygon(value("cx"), value("cy"), value("r"), value("r"))]
    if kind == "ellipse":
        theta = value("theta") if "theta" in shape else 0.0  # radians
        degrees = theta * 57.29577951308232
        return [
            ellipse_polygon(value("cx"), value("cy"), value("rx"), value("ry"), degrees)
        ]
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise DataError("The polygon's x and y differ in number.")
        flat = [v for pair in zip(xs, ys, strict=True) for v in pair]
        if any(
            isinstance(v, bool) or not isinstance(v, (int, float)) or abs(v) > 1e12
            for v in flat
        ):
            raise DataError("The polygon has a coordinate that is not a number.")
        return [[float(v) for v in flat]]
    raise DataError(f"A {kind!r} has no area, so it cannot be a mask.")


def _class_key(entries: list[Entry]) -> str | None:
    """Which attribute holds the class: one with a telling name, else the most used."""
    counts: Counter[str] = Counter()
    for entry in entries:
        for region in _regions(entry):
            counts.update(region.region_attributes.keys())
    for key in _CLASS_KEYS:
        for name in counts:
            if name.strip().lower() == key:
                return name
    return counts.most_common(1)[0][0] if counts else None


def _regions(entry: Entry) -> list[Region]:
    return (
        list(entry.regions.values())
        if isinstance(entry.regions, dict)
        else entry.regions
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):  # a checkbox: {"flower": true}
        return next((str(k) for k, on in value.items() if on), "")
    return "" if value is None else str(value).strip()


def read(path: Path) -> Converted:
    """Reads a VIA 2 project or annotation JSON; the images are needed, since VIA does not say their size."""
    data = read_bytes(path)
    if b'"_via_img_metadata"' in data:
        entries = list(parse_json(data, path, Project).metadata.values())
    else:
        entries = list(parse_json(data, path, dict[str, Entry]).values())
    builder, finder = Builder(path.parent), Finder(path.parent)
    key = _class_key(entries)
    for entry in entries:
        try:
            image = builder.image(finder.find(entry.filename), entry.filename)
        except DataError as error:
            raise DataError(f"{path}: {error.message}", error.remedy) from None
        for index, region in enumerate(_regions(entry)):
            item = f"{entry.filename}, regions[{index}]"
            name = (
                _text(region.region_attributes.get(key))
                if key is not None
                else "object"
            )
            others = {k: v for k, v in region.region_attributes.items() if k != key}
            try:
                outline = parse_shape(region.shape_attributes)
            except DataError as error:
                builder.note(item, f"left out: {error.message}")
                continue
            is_box = region.shape_attributes.get("name") == "rect"
            box = polygon_box(outline) if is_box else None
            mask = None if is_box else outline
            builder.add(item, image, name, mask, box, attributes=others or None)
    return builder.build()
