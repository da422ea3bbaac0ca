"""Writing Pascal VOC: boxes in XML, masks as indexed PNG; see `voc` for the rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cvtk.data.formats.base import (
    Note,
    Source,
)
from cvtk.data.masks import require_size, to_bitmap
from cvtk.data.model import Dataset, Id, Image
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
    from cvtk.data.place import copy_image

    for name in (
        "Annotations",
        "JPEGImages",
        "SegmentationObject",
        "SegmentationClass",
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
    order = {category.id: index for index, category in enumerate(dataset.categories, 1)}
    names, by_image, stems = dataset.class_names, dataset.by_image(), set()
    if len(names) > 254:
        raise DataError(
            f"VOC masks hold 254 classes, the set has {len(names)}.",
            "Write COCO instead.",
        )
    colours = palette()
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    lines += [
        f"{n}:{','.join(str(v) for v in colours[i])}::" for i, n in enumerate(names, 1)
    ]
    (folder / "labelmap.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for image in dataset.images:
        # VOC has no folders: a/b.jpg becomes a__b.jpg.
        flat = Path(
            image.file_name.removeprefix("JPEGImages/")
            .removeprefix("images/")
            .replace("/", "__")
        )
        stem = flat.stem if flat.stem not in stems else f"{flat.stem}_{flat.suffix[1:]}"
        if stem in stems:
            raise DataError(
                f"{image.file_name}: another image has its name in VOC.",
                "Rename one of them.",
            )
        stems.add(stem)
        if images:
            copy_image(
                sources.get(image.id), folder / "JPEGImages" / (stem + flat.suffix)
            )
        _write_image(
            dataset,
            image,
            by_image[image.id],
            folder,
            stem,
            stem + flat.suffix,
            order,
            notes,
        )


def _write_image(
    dataset: Dataset,
    image: Image,
    annotations: list[Any],
    folder: Path,
    stem: str,
    name: str,
    order: dict[Id, int],
    notes: list[Note],
) -> None:
    from PIL import Image as Pillow

    width, height = image.size or (0, 0)
    require_size(width, height)
    instance, classes = (
        np.zeros((height, width), np.uint8),
        np.zeros((height, width), np.uint8),
    )
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "folder").text = "JPEGImages"
    ElementTree.SubElement(tree, "filename").text = name
    size = ElementTree.SubElement(tree, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(value)
    masks: list[tuple[str, Any, Any]] = []
    for annotation in annotations:
        item = f"annotation {annotation.id} ({image.file_name})"
        if annotation.is_crowd:
            notes.append(Note(item, "left out: VOC has no crowds"))
            continue
        try:
            segmentation = annotation.segmentation
            mask = (
                None if segmentation is None else to_bitmap(segmentation, width, height)
            )
        except DataError as error:
            notes.append(Note(item, f"left out: {error.message}"))
            continue
        masks.append((item, annotation, mask))
    some = any(mask is not None for _, _, mask in masks)
    ElementTree.SubElement(tree, "segmented").text = str(int(some))
    # Large first, so that what lies on top is whole.
    painted = sorted(
        (m for m in masks if m[2] is not None), key=lambda m: -int(m[2].sum())
    )
    for value, (item, annotation, mask) in enumerate(painted, 1):
        if value > 254:
            notes.append(
                Note(item, "its mask is left out: a VOC mask holds 254 objects")
            )
            continue
        hidden = int(np.count_nonzero(instance[mask != 0]))
        if hidden:
            notes.append(
                Note(
                    item,
                    f"it covers {hidden} pixels of larger objects, which lose them in VOC",
                )
            )
        instance[mask != 0], classes[mask != 0] = value, order[annotation.category_id]
    for item, annotation, mask in masks:
        box = (
            annotation.bbox
            if isinstance(annotation.bbox, list) and len(annotation.bbox) == 4
            else None
        )
        if mask is not None and mask.any():
            rows, columns = (
                np.flatnonzero(mask.any(axis=1)),
                np.flatnonzero(mask.any(axis=0)),
            )
            x, y = int(columns[0]), int(rows[0])
            box = [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
        if box is None:
            notes.append(Note(item, "left out: it has neither mask nor box"))
            continue
        element = ElementTree.SubElement(tree, "object")
        ElementTree.SubElement(element, "name").text = dataset.class_names[
            order[annotation.category_id] - 1
        ]
        ElementTree.SubElement(element, "difficult").text = "0"
        corner = ElementTree.SubElement(element, "bndbox")
        values = (box[0] + 1, box[1] + 1, box[0] + box[2], box[1] + box[3])
        for key, number_ in zip(("xmin", "ymin", "xmax", "ymax"), values, strict=True):
            ElementTree.SubElement(corner, key).text = f"{number_:g}"
    ElementTree.indent(tree)
    ElementTree.ElementTree(tree).write(
        folder / "Annotations" / f"{stem}.xml", encoding="utf-8", xml_declaration=True
    )
    if some:
        for kind, array in (
            ("SegmentationObject", instance),
            ("SegmentationClass", classes),
        ):
            png = Pillow.new("P", (width, height))
            png.frombytes(array.tobytes())
            png.putpalette(palette().ravel().tolist())
            png.save(folder / kind / f"{stem}.png")
