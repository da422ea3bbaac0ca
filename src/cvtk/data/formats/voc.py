"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/): boxes in XML, instance masks as indexed PNG.

Pixels count from 1 and boxes include their last pixel, as the development kit says.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cvtk.data.formats.builder import Builder
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.voc_write import write
from cvtk.data.formats.xml_text import number, read_xml
from cvtk.data.masks import from_bitmap, require_size
from cvtk.data.types import Converted, Image
from cvtk.errors import DataError, FileError
from cvtk.io import read_bytes, read_text

# The classes of VOC, by their value in SegmentationClass.
_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
CLASSES = tuple(_NAMES.split())
__all__ = ["CLASSES", "parse_box", "read", "read_index", "write"]

_VOID = 255


def parse_box(
    element: ElementTree.Element, item: str, *, from_zero: bool = False
) -> list[float]:
    """The box of an `<object>` as [x, y, width, height] in pixels.

    Args:
        element: The object.
        item: What a message calls it.
        from_zero: Whether its numbers are coordinates, as CVAT writes them; else they count pixels from 1
            and include the last one, as VOC has it.

    Raises:
        DataError: It has no box, or one that is not numbers.
    """
    box = element.find("bndbox")
    if box is None:
        raise DataError(f"{item} has no <bndbox>.", "Label it again.")
    x0, y0, x1, y1 = (
        number(box.findtext(k), item, f"<{k}>")
        for k in ("xmin", "ymin", "xmax", "ymax")
    )
    if from_zero:
        return [x0, y0, x1 - x0, y1 - y0]
    return [x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1]


def _counts_from_zero(tree: ElementTree.Element) -> bool:
    """Whether a file is of CVAT (Datumaro), which writes its own coordinates into VOC's form.

    Its mark is a source of three unknowns (`voc/exporter.py` of Datumaro).
    """
    keys = ("database", "annotation", "image")
    return all(tree.findtext(f"source/{key}") == "Unknown" for key in keys)


def read_index(file: Path) -> NDArray[np.int64]:
    """An indexed, grey or coloured PNG as (height, width) numbers; each colour is a number of its own.

    Raises:
        DataError: It cannot be read.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(read_bytes(file))) as image:
            require_size(*image.size)
            if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
                return np.asarray(image).astype(np.int64)
            rgb = np.asarray(image.convert("RGB")).astype(np.int64)
            return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    except FileError:
        raise
    except DataError as error:
        raise DataError(f"{file}: {error.message}", "Export it again.") from None
    except Exception as error:  # whatever a broken file leads Pillow to
        raise DataError(
            f"{file} cannot be read as a mask ({error}).", "Export it again."
        ) from None


def _labels(root: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Class names by index, and by colour, from labelmap.txt (`name:r,g,b::`) or VOC's own list."""
    file = root / "labelmap.txt"
    if not file.is_file():
        return dict(enumerate(CLASSES, 1)), {}
    by_index: dict[int, str] = {}
    by_colour: dict[int, str] = {}
    rows = [
        line for line in read_text(file).splitlines() if line.strip() and line[0] != "#"
    ]
    for index, line in enumerate(rows):
        name, _, rest = line.partition(":")
        by_index[index] = name
        try:
            r, g, b = (int(v) for v in rest.split(":")[0].split(","))
        except ValueError:
            continue
        by_colour[r << 16 | g << 8 | b] = name
    return by_index, by_colour


def _class_order(root: Path) -> list[str]:
    """The classes of labelmap.txt in its order, without background; none where there is no such file."""
    if not (root / "labelmap.txt").is_file():
        return []
    by_index, _ = _labels(root)
    return [name for name in by_index.values() if name not in ("background", "")]


def read(path: Path) -> Converted:
    """Reads a VOC folder (Annotations, JPEGImages, SegmentationObject ...), a folder of XML, or one XML."""
    root = path if path.is_dir() else path.parent
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    files = sorted(folder.rglob("*.xml")) if path.is_dir() else [path]
    masks = {p.stem: p for p in sorted((root / "SegmentationObject").glob("*.png"))}
    builder, finder = Builder(root, _class_order(root)), Finder(root)
    stems = set()
    for file in files:
        _read_xml(file, masks.get(file.stem), builder, finder, root)
        stems.add(file.stem)
    for stem, mask in masks.items():  # segmented, but without boxes
        if stem not in stems and path.is_dir():
            index = read_index(mask)
            place = next(
                (p for p in sorted((root / "JPEGImages").glob(stem + ".*"))),
                root / f"{stem}.jpg",
            )
            image = builder.image(place, place.name, index.shape[1], index.shape[0])
            _add_masks(builder, image, index, mask, [], root)
    converted = builder.build()
    if not converted.dataset.images:
        raise DataError(
            f"{path} has no VOC annotations.",
            "VOC keeps .xml files in a folder Annotations.",
        )
    return converted


def _read_xml(
    file: Path, mask: Path | None, builder: Builder, finder: Finder, root: Path
) -> None:
    tree = read_xml(file)
    if tree.tag != "annotation":
        raise DataError(
            f"{file} is not a VOC file: it starts with <{tree.tag}>.",
            "Is this the right file?",
        )
    name = (tree.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    place = finder.find(
        name, root / "JPEGImages" if (root / "JPEGImages").is_dir() else file.parent
    )
    width = (
        int(number(tree.findtext("size/width") or "0", str(file), "<width>")) or None
    )
    height = (
        int(number(tree.findtext("size/height") or "0", str(file), "<height>")) or None
    )
    try:
        image = builder.image(place, name, width, height)
    except DataError as error:
        raise DataError(f"{file}: {error.message}", error.remedy) from None
    objects = []
    from_zero = _counts_from_zero(tree)
    for index, element in enumerate(tree.findall("object")):
        item = f"{file.name}, object {index + 1}"
        label = (element.findtext("name") or "").strip()
        flags = {
            key: int(number(text, item, f"<{key}>"))
            for key in ("difficult", "truncated", "occluded")
            if (text := element.findtext(key)) and text.strip() not in ("", "0")
        }
        box = parse_box(element, item, from_zero=from_zero)
        objects.append((f"{item} ({label})", label, box, flags))
    if mask is None:
        for item, label, box, flags in objects:
            builder.add(item, image, label, None, box, **flags)
    else:
        _add_masks(builder, image, read_index(mask), mask, objects, root)


def _add_masks(
    builder: Builder,
    image: Image,
    index: NDArray[np.int64],
    file: Path,
    objects: list[Any],
    root: Path,
) -> None:
    """Each value of the mask is an object; its class is that of the box it fills, else of its colour."""
    width, height = image.size or (0, 0)
    if index.shape != (height, width):
        raise DataError(
            f"{file} is {index.shape[1]} x {index.shape[0]} pixels, its image {width} x {height}.",
            "Export it again.",
        )
    left = dict(enumerate(objects))
    classes = None
    for value in np.unique(index).tolist():
        if value in (
            0,
            _VOID,
            0xE0E0C0,
        ):  # background, and the border that belongs to nobody
            continue
        mask = index == value
        item = f"{file.name}, value {value}"
        rows, columns = (
            np.flatnonzero(mask.any(axis=1)),
            np.flatnonzero(mask.any(axis=0)),
        )
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        best = max(left, key=lambda k: _overlap(box, left[k][2]), default=None)
        if best is not None and _overlap(box, left[best][2]) > 0.3:
            item, label, _, flags = left.pop(best)
        else:
            if classes is None:
                other = root / "SegmentationClass" / file.name
                classes = read_index(other) if other.is_file() else np.zeros_like(index)
                names, colours = _labels(root)
            if classes.shape != index.shape:
                raise DataError(
                    f"{file} and its SegmentationClass differ in size.",
                    "Export them again.",
                )
            values, counts = np.unique(classes[mask], return_counts=True)
            common = int(values[counts.argmax()])
            label, flags = names.get(common) or colours.get(common) or "", {}
            if not label or common == 0:
                builder.note(
                    item,
                    "left out: no box fits it, and SegmentationClass does not name its class",
                )
                continue
        builder.add(item, image, label, from_bitmap(mask), **flags)
    for item, label, box, flags in left.values():
        builder.note(item, "it has a box but no mask")
        builder.add(item, image, label, None, box, **flags)


def _overlap(corners: tuple[int, int, int, int], box: list[float]) -> float:
    """Intersection over union of x0, y0, x1, y1 and x, y, w, h."""
    x0, y0, x1, y1 = corners
    w = min(x1, box[0] + box[2]) - max(x0, box[0])
    h = min(y1, box[1] + box[3]) - max(y0, box[1])
    inter = max(w, 0) * max(h, 0)
    union = (x1 - x0) * (y1 - y0) + box[2] * box[3] - inter
    return float(inter / union) if union > 0 else 0.0
