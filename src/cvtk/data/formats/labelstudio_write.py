"""Writing tasks for Label Studio; see `labelstudio` for the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvtk.data.formats.shapes import CROWD, crop_of, outlined
from cvtk.data.relocate import copy_image
from cvtk.data.types import Annotation, Dataset, Id, Image, Note, Source
from cvtk.errors import DataError

FILE = "tasks.json"
# By type of region: the tag of the labelling interface, and the name that regions refer to.
_CONTROLS = {
    "polygonlabels": ("PolygonLabels", "polygon"),
    "brushlabels": ("BrushLabels", "brush"),
    "rectanglelabels": ("RectangleLabels", "box"),
}
# The four lengths in bits that a run of the brush's code may have.
_LENGTHS = (4, 8, 12, 16)


def write(
    dataset: Dataset,
    sources: dict[Id, Source],
    folder: Path,
    notes: list[Note],
    images: bool = True,
) -> None:
    """Writes tasks.json, config.xml (the labelling interface) and the folder images.

    Objects with a score become predictions (https://labelstud.io/guide/predictions), others annotations. The
    images are named as Label Studio serves local files, with `folder` as its document root.

    Args:
        dataset: What to write.
        sources: Where the images are.
        folder: An empty folder.
        notes: Gets what Label Studio cannot hold.
        images: Whether the images come along.
    """
    names = {category.id: category.name for category in dataset.categories}
    by_image = dataset.by_image()
    tasks = []
    used = {"polygonlabels"}
    for number, image in enumerate(dataset.images, 1):
        name = "images/" + image.file_name.replace("\\", "/").removeprefix("images/")
        if images:
            copy_image(sources.get(image.id), folder, name)
        regions = _regions(by_image[image.id], names, image, notes)
        used |= {region["type"] for region in regions}
        url = f"/data/local-files/?d={quote(name)}"
        task: dict[str, Any] = {"id": number, "data": {"image": url}}
        tasks.append({**task, **_works(regions)})
    text = msgspec.json.format(msgspec.json.encode(tasks), indent=1)
    (folder / FILE).write_bytes(text + b"\n")
    _write_interface(dataset.class_names, used, folder / "config.xml")


def _works(regions: list[dict[str, Any]]) -> dict[str, Any]:
    """What a task has of predictions and annotations; the tool sorts by the score of a prediction."""
    found = [region for region in regions if "score" in region]
    drawn = [region for region in regions if "score" not in region]
    works: dict[str, Any] = {"annotations": [{"result": drawn}] if drawn else []}
    if found or not drawn:
        prediction: dict[str, Any] = {"model_version": "cvtk", "result": found}
        if found:
            mean = float(np.mean([region["score"] for region in found]))
            prediction["score"] = round(mean, 4)
        works["predictions"] = [prediction]
    return works


def _regions(
    annotations: list[Annotation], names: dict[Id, str], image: Image, notes: list[Note]
) -> list[dict[str, Any]]:
    regions = []
    for annotation in annotations:
        item = f"annotation {annotation.id} ({image.file_name})"
        try:
            kind, value = _region(annotation, image)
        except DataError as error:
            notes.append(Note(item, f"left out: {error.message}"))
            continue
        if annotation.is_crowd:
            notes.append(Note(item, CROWD.format("Label Studio")))
        width, height = image.size or (0, 0)
        region: dict[str, Any] = {
            "id": f"object{annotation.id}",
            "type": kind,
            "from_name": _CONTROLS[kind][1],
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {**value, kind: [names.get(annotation.category_id, "")]},
        }
        if annotation.score is not None:
            region["score"] = round(annotation.score, 4)
        regions.append(region)
    return regions


def _region(annotation: Annotation, image: Image) -> tuple[str, dict[str, Any]]:
    """The type of an object's region, and its value: what is no single polygon becomes a brush.

    Raises:
        DataError: The object cannot be drawn.
    """
    width, height = image.size or (0, 0)
    percent = np.array([100 / width, 100 / height])
    shape = outlined(annotation, image)
    if shape.box is not None:
        (x, y), (w, h) = np.reshape(shape.box, (2, 2)) * percent
        box = {"x": x, "y": y, "width": w, "height": h, "rotation": 0}
        return "rectanglelabels", {k: float(v) for k, v in box.items()}
    if len(shape.polygons) == 1:
        points = np.reshape(shape.polygons[0], (-1, 2)) * percent
        return "polygonlabels", {"points": points.tolist(), "closed": True}
    crop = shape.crop
    if crop is None:
        segmentation = annotation.segmentation
        assert segmentation is not None
        crop = crop_of(segmentation, image)
    mask = np.zeros((height, width), dtype=bool)
    h, w = crop.mask.shape
    mask[crop.y : crop.y + h, crop.x : crop.x + w] = crop.mask
    return "brushlabels", {"format": "rle", "rle": encode_brush(mask)}


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """A mask (height, width) as the bytes of a brush's `rle`; `labelstudio.decode_brush` has the rules."""
    ends = np.flatnonzero(np.diff(mask.ravel(), append=not mask[-1, -1])) + 1
    is_inside = mask.ravel()[ends - 1]
    # Four values a pixel: red, green, blue and alpha.
    lengths = 4 * np.diff(ends, prepend=0)
    bits = [f"{4 * mask.size:032b}", f"{8 - 1:05b}"]
    bits += [f"{size - 1:04b}" for size in _LENGTHS]
    for length, inside in zip(lengths.tolist(), is_inside.tolist(), strict=True):
        while length:
            part = min(length, 2 ** _LENGTHS[-1])
            size = next(i for i, most in enumerate(_LENGTHS) if part <= 2**most)
            bits.append(f"1{size:02b}{part - 1:0{_LENGTHS[size]}b}")
            bits.append("11111111" if inside else "00000000")
            length -= part
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _write_interface(names: list[str], used: set[str], file: Path) -> None:
    """Writes the labelling interface, to be pasted into a project's settings."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    for kind, (tag, name) in _CONTROLS.items():
        if kind in used:
            control = ElementTree.SubElement(view, tag, name=name, toName="image")
            for label in names:
                ElementTree.SubElement(control, "Label", value=label)
    ElementTree.indent(view)
    text = ElementTree.tostring(view, encoding="unicode")
    file.write_text(text + "\n", encoding="utf-8")
