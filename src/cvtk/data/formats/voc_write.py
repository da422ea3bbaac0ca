"""Writing Pascal VOC: boxes in XML, masks as indexed PNG; see `voc` for the rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import write_image
from cvtk.data.masks import bitmap_box, require_size, to_bitmap
from cvtk.data.relocate import copy_image
from cvtk.data.types import Annotation, Dataset, Id, Image, Note, Source
from cvtk.errors import DataError


def palette(count: int = 256) -> NDArray[np.uint8]:
    """VOC's colours (count, 3): the bits of an index, spread over red, green and blue."""
    colours = np.zeros((count, 3), np.uint8)
    for index in range(count):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= ((index >> (3 * bit + channel)) & 1) << (
                    7 - bit
                )
    return colours


def write(
    dataset: Dataset,
    sources: dict[Id, Source],
    folder: Path,
    notes: list[Note],
    images: bool = True,
) -> None:
    """Writes Annotations, JPEGImages, SegmentationObject, SegmentationClass and labelmap.txt.

    One pixel of an indexed PNG belongs to one object: where objects overlap, the smaller keeps it.

    Args:
        dataset: What to write.
        sources: Where the images are.
        folder: An empty folder.
        notes: Gets what VOC cannot hold.
        images: Whether the images come along.
    """
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_labelmap(dataset.class_names, folder / "labelmap.txt")
    by_image, stems = dataset.by_image(), set()
    for image in dataset.images:
        flat = _flat_name(image.file_name)
        stem = flat.stem if flat.stem not in stems else f"{flat.stem}_{flat.suffix[1:]}"
        if stem in stems:
            raise DataError(
                f"{image.file_name}: another image has its name in VOC.",
                "Rename one of them.",
            )
        stems.add(stem)
        name = stem + flat.suffix
        if images:
            copy_image(sources.get(image.id), folder / "JPEGImages", name)
        objects = _objects(by_image[image.id], image, dataset, notes)
        index, classes = _paint(objects, image, notes)
        _write_xml(objects, image, name, folder / "Annotations" / f"{stem}.xml", notes)
        if any(thing.mask is not None for thing in objects):
            _write_png(index, folder / "SegmentationObject" / f"{stem}.png")
            _write_png(classes, folder / "SegmentationClass" / f"{stem}.png")


_FOLDERS = ("Annotations", "JPEGImages", "SegmentationObject", "SegmentationClass")


def _flat_name(file_name: str) -> Path:
    """A name without folders, which VOC has not: a/b.jpg becomes a__b.jpg."""
    name = file_name.removeprefix("JPEGImages/").removeprefix("images/")
    return Path(name.replace("/", "__"))


def _write_labelmap(names: list[str], file: Path) -> None:
    if len(names) > 254:
        raise DataError(
            f"VOC masks hold 254 classes, the set has {len(names)}.",
            "Write COCO instead.",
        )
    colours = palette()
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for index, name in enumerate(names, 1):
        colour = ",".join(str(value) for value in colours[index])
        lines.append(f"{name}:{colour}::")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass
class _Object:
    """What is written of an annotation: `index` is that of its class, from 1."""

    item: str
    index: int
    name: str
    bbox: list[float] | None
    mask: NDArray[np.uint8] | None


def _objects(
    annotations: list[Annotation], image: Image, dataset: Dataset, notes: list[Note]
) -> list[_Object]:
    order = {category.id: index for index, category in enumerate(dataset.categories, 1)}
    width, height = require_size(image.width, image.height)
    found = []
    for annotation in annotations:
        item = f"annotation {annotation.id} ({image.file_name})"
        if annotation.is_crowd:
            notes.append(Note(item, "left out: VOC has no crowds"))
            continue
        mask = None
        try:
            segmentation = annotation.segmentation
            if segmentation is not None:
                mask = to_bitmap(segmentation, width, height)
        except DataError as error:
            notes.append(Note(item, f"left out: {error.message}"))
            continue
        index = order[annotation.category_id]
        name = dataset.class_names[index - 1]
        found.append(_Object(item, index, name, annotation.box, mask))
    return found


def _paint(
    objects: list[_Object], image: Image, notes: list[Note]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pixels of SegmentationObject and SegmentationClass, (H, W) each."""
    width, height = require_size(image.width, image.height)
    instance = np.zeros((height, width), np.uint8)
    classes = np.zeros((height, width), np.uint8)
    with_mask = [(thing, thing.mask) for thing in objects if thing.mask is not None]
    # Large first, so that what lies on top is whole.
    with_mask.sort(key=lambda pair: -int(pair[1].sum()))
    for value, (thing, mask) in enumerate(with_mask, 1):
        if value > 254:
            text = "its mask is left out: a VOC mask holds 254 objects"
            notes.append(Note(thing.item, text))
            continue
        inside = mask != 0
        hidden = int(np.count_nonzero(instance[inside]))
        if hidden:
            text = (
                f"it covers {hidden} pixels of larger objects, which lose them in VOC"
            )
            notes.append(Note(thing.item, text))
        instance[inside] = value
        classes[inside] = thing.index
    return instance, classes


def _write_xml(
    objects: list[_Object], image: Image, name: str, file: Path, notes: list[Note]
) -> None:
    width, height = require_size(image.width, image.height)
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "folder").text = "JPEGImages"
    ElementTree.SubElement(tree, "filename").text = name
    size = ElementTree.SubElement(tree, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(value)
    segmented = any(thing.mask is not None for thing in objects)
    ElementTree.SubElement(tree, "segmented").text = str(int(segmented))
    for thing in objects:
        box = thing.bbox
        if thing.mask is not None and thing.mask.any():
            box = bitmap_box(thing.mask)
        if box is None:
            notes.append(Note(thing.item, "left out: it has neither mask nor box"))
            continue
        element = ElementTree.SubElement(tree, "object")
        ElementTree.SubElement(element, "name").text = thing.name
        ElementTree.SubElement(element, "difficult").text = "0"
        corner = ElementTree.SubElement(element, "bndbox")
        values = (box[0] + 1, box[1] + 1, box[0] + box[2], box[1] + box[3])
        for key, coordinate in zip(_CORNERS, values, strict=True):
            ElementTree.SubElement(corner, key).text = f"{coordinate:g}"
    ElementTree.indent(tree)
    document = ElementTree.ElementTree(tree)
    document.write(file, encoding="utf-8", xml_declaration=True)


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _write_png(values: NDArray[np.uint8], file: Path) -> None:
    """An indexed PNG in VOC's colours."""
    from PIL import Image as Pillow

    height, width = values.shape
    png = Pillow.new("P", (width, height))
    png.frombytes(values.tobytes())
    png.putpalette(palette().ravel().tolist())
    write_image(png, file)
