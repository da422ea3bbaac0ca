"""The XML files of the first LabelMe (http://labelme.csail.mit.edu), which hold polygons."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from cvtk.data.formats.builder import Builder
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.xml_text import number, parse_xml
from cvtk.errors import DataError


def read_file(data: bytes, file: Path, builder: Builder, finder: Finder) -> None:
    """Adds an image and its objects; those marked as deleted are left out.

    Args:
        data: The content of the file.
        file: Where it is, for messages.
        builder: Gets image and objects.
        finder: Finds the image.

    Raises:
        DataError: It is not such a file, or its image cannot be found.
    """
    tree = parse_xml(data, file)
    name = (tree.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    size = [_size(tree, key, file) for key in ("ncols", "nrows")]
    try:
        image = builder.image(finder.find(name, file.parent), name, *size)
    except DataError as error:
        raise DataError(f"{file}: {error.message}", error.remedy) from None
    for index, thing in enumerate(tree.findall("object"), 1):
        label = (thing.findtext("name") or "").strip()
        item = f"{file.name}, object {index} ({label})"
        if (thing.findtext("deleted") or "0").strip() == "1":
            builder.note(item, "left out: it is marked as deleted")
            continue
        polygon = thing.find("polygon")
        if polygon is None:
            builder.note(item, "left out: it has no polygon")
            continue
        outline = [
            number(point.findtext(axis), item, f"<{axis}>")
            for point in polygon.findall("pt")
            for axis in ("x", "y")
        ]
        builder.add(item, image, label, [outline])


def _size(tree: ElementTree.Element, key: str, file: Path) -> int | None:
    """Width or height in pixels, where the file says it."""
    text = tree.findtext(f"imagesize/{key}") or "0"
    return int(number(text, str(file), f"<{key}>")) or None
