"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/): boxes in XML, instance masks as indexed PNG.

Pixels count from 1 and boxes include their last pixel, as the development kit says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cvtk.data.formats.base import (
    Builder,
    Converted,
    Finder,
    Note,
    Source,
    number,
    read_xml,
)
from cvtk.data.masks import from_bitmap, require_size, to_bitmap
from cvtk.data.model import Dataset, Id, Image
from cvtk.errors import DataError

# The classes of VOC, by their value in SegmentationClass.
_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
CLASSES = tuple(_NAMES.split())
_VOID = 255


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


def parse_box(element: ElementTree.Element, item: str) -> list[float]:
    """The box of an `<object>` as [x, y, width, height] in pixels, counted from 0."""
    box = element.find("bndbox")
    if box is None:
        raise DataError(f"{item} has no <bndbox>.", "Label it again.")
    x0, y0, x1, y1 = (
        number(box.findtext(k), item, f"<{k}>")
        for k in ("xmin", "ymin", "xmax", "ymax")
    )
    return [x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1]


def read_index(file: Path) -> NDArray[np.int64]:
    """An indexed, grey or coloured PNG as (height, width) numbers; each colour is a number of its own.

    Raises:
        DataError: It cannot be read.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(file) as image:
            require_size(*image.size)
            if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
                return np.asarray(image).astype(np.int64)
            rgb = np.asarray(image.convert("RGB")).astype(np.int64)
            return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
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
        line
        for line in file.read_text("utf-8-sig").splitlines()
        if line.strip() and line[0] != "#"
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


def read(path: Path) -> Converted:
    """Reads a VOC folder (Annotations, JPEGImages, SegmentationObject ...), a folder of XML, or one XML."""
    root = path if path.is_dir() else path.parent
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    files = sorted(folder.rglob("*.xml")) if path.is_dir() else [path]
    masks = {p.stem: p for p in sorted((root / "SegmentationObject").glob("*.png"))}
    builder, finder = Builder(root), Finder(root)
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
    for index, element in enumerate(tree.findall("object")):
        item = f"{file.name}, object {index + 1}"
        label = (element.findtext("name") or "").strip()
        flags = {
            key: int(number(text, item, f"<{key}>"))
            for key in ("difficult", "truncated", "occluded")
            if (text := element.findtext(key)) and text.strip() not in ("", "0")
        }
        objects.append((f"{item} ({label})", label, parse_box(element, item), flags))
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
