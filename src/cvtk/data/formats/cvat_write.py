"""Writing CVAT for images 1.1; see `cvat` for the format."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cvtk.data.crops import Crop
from cvtk.data.formats.shapes import CROWD, Outlined, outlined
from cvtk.data.relocate import copy_image
from cvtk.data.types import Annotation, Dataset, Id, Image, Note, Source
from cvtk.errors import DataError

_SCORE = {"name": "score", "mutable": "False", "input_type": "text"}


def write(
    dataset: Dataset,
    sources: dict[Id, Source],
    folder: Path,
    notes: list[Note],
    images: bool = True,
) -> None:
    """Writes annotations.xml, labels.json (for the labels of a task, tab *Raw*) and the folder images.

    Scores become the attribute `score`, which CVAT takes where the label has it, as those of labels.json do.

    Args:
        dataset: What to write.
        sources: Where the images are.
        folder: An empty folder.
        notes: Gets what CVAT cannot hold.
        images: Whether the images come along.
    """
    scored = any(annotation.score is not None for annotation in dataset.annotations)
    names = {category.id: category.name for category in dataset.categories}
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    _add_meta(root, dataset, scored)
    by_image = dataset.by_image()
    for number, image in enumerate(dataset.images):
        name = image.file_name.replace("\\", "/").removeprefix("images/")
        if images:
            copy_image(sources.get(image.id), folder / "images", name)
        width, height = image.size or (0, 0)
        place = {"id": number, "name": name, "width": width, "height": height}
        element = ElementTree.SubElement(root, "image", _texts(place))
        _add_shapes(element, by_image[image.id], names, image, notes)
    ElementTree.indent(root)
    document = ElementTree.ElementTree(root)
    document.write(folder / "annotations.xml", encoding="utf-8", xml_declaration=True)
    labels = json.dumps(_raw_labels(dataset.class_names, scored), ensure_ascii=False)
    (folder / "labels.json").write_text(labels + "\n", encoding="utf-8")


def _texts(values: dict[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def _raw_labels(names: list[str], scored: bool) -> list[dict[str, object]]:
    """The labels as the tab *Raw* of a new task takes them."""
    score = {**_SCORE, "mutable": False, "values": [""]}
    attributes = [score] if scored else []
    return [{"name": name, "attributes": attributes} for name in names]


def _add_meta(root: ElementTree.Element, dataset: Dataset, scored: bool) -> None:
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    labels = ElementTree.SubElement(task, "labels")
    for name in dataset.class_names:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        attributes = ElementTree.SubElement(label, "attributes")
        if scored:
            attribute = ElementTree.SubElement(attributes, "attribute")
            for key, value in _SCORE.items():
                ElementTree.SubElement(attribute, key).text = value


def _add_shapes(
    element: ElementTree.Element,
    annotations: list[Annotation],
    names: dict[Id, str],
    image: Image,
    notes: list[Note],
) -> None:
    """The shapes of an image; parts of one object get a `group_id`."""
    for group, annotation in enumerate(annotations, 1):
        item = f"annotation {annotation.id} ({image.file_name})"
        try:
            shape = outlined(annotation, image)
        except DataError as error:
            notes.append(Note(item, f"left out: {error.message}"))
            continue
        if annotation.is_crowd:
            notes.append(Note(item, CROWD.format("CVAT")))
        common: dict[str, object] = {
            "label": names.get(annotation.category_id, ""),
            "source": "manual" if annotation.score is None else "auto",
            "occluded": 0,
            "z_order": 0,
        }
        if len(shape.polygons) > 1:
            common["group_id"] = group
        for tag, own in _elements(shape):
            child = ElementTree.SubElement(element, tag, _texts({**common, **own}))
            if annotation.score is not None:
                attribute = ElementTree.SubElement(child, "attribute", name="score")
                attribute.text = f"{annotation.score:.4f}"


def _elements(shape: Outlined) -> list[tuple[str, dict[str, object]]]:
    """The tag and attributes of each part of an object."""
    if shape.box is not None:
        x, y, w, h = shape.box
        corners = zip(("xtl", "ytl", "xbr", "ybr"), (x, y, x + w, y + h), strict=True)
        return [("box", {key: f"{value:.2f}" for key, value in corners})]
    if shape.crop is not None:
        return [("mask", _bitmap(shape.crop))]
    return [("polygon", {"points": _points(p)}) for p in shape.polygons]


def _points(polygon: list[float]) -> str:
    pairs = np.reshape(polygon, (-1, 2)).tolist()
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)


def _bitmap(crop: Crop) -> dict[str, object]:
    height, width = crop.mask.shape
    return {
        "rle": ", ".join(map(str, _runs(crop.mask))),
        "left": crop.x,
        "top": crop.y,
        "width": width,
        "height": height,
    }


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of the runs in row order, background first."""
    framed = np.concatenate([[False], mask.ravel(), [not mask[-1, -1]]])
    ends = np.flatnonzero(np.diff(framed))
    runs: list[int] = np.diff(ends, prepend=0).tolist()
    return runs
