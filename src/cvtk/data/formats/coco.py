"""COCO as a source and a target of conversion: ids become numbers, missing boxes and areas are computed."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET

from cvtk.data import coco
from cvtk.data.formats.finder import find_beside
from cvtk.data.ids import number_ids
from cvtk.data.images import image_size, resolve
from cvtk.data.masks import area_and_bbox
from cvtk.data.merge import merge_categories, merge_images
from cvtk.data.types import (
    Annotation,
    Converted,
    Id,
    Image,
    Note,
    show_id,
)
from cvtk.errors import CvtkError, DataError
from cvtk.io import is_file


def read(path: Path) -> Converted:
    """Reads a COCO file, and completes it: number ids, sizes, boxes, areas and `iscrowd`.

    Raises:
        FileError: It is missing.
        DataError: It is not COCO, or an id points nowhere.
    """
    notes: list[Note] = []
    dataset = coco.read(
        path, lambda item, error: notes.append(Note(item, f"left out: {error.message}"))
    )
    doubtful = merge_categories(dataset, notes)
    merge_images(dataset, notes)
    converted = Converted(dataset, {}, notes)
    _leave_out(converted, doubtful)
    notes += number_ids(dataset)
    for image in dataset.images:
        source = resolve(dataset.folder, image.file_name)
        if not is_file(source):
            source = find_beside(dataset.folder, image.file_name) or source
        converted.sources[image.id] = source
        if image.size is None:
            image.width, image.height = image_size(source)
            notes.append(
                Note(
                    image.file_name,
                    f"its size, {image.width} x {image.height}, was missing",
                )
            )
    complete(converted)
    return converted


def _leave_out(converted: Converted, doubtful: set[Id]) -> None:
    """Leaves out annotations of categories whose id stood for several names."""
    kept = []
    for annotation in converted.dataset.annotations:
        if annotation.category_id in doubtful:
            where = show_id(annotation.category_id)
            text = f"left out: category {where} stood for several names"
            item = f"annotation {show_id(annotation.id)}"
            converted.notes.append(Note(item, text))
        else:
            kept.append(annotation)
    converted.dataset.annotations = kept


def complete(converted: Converted) -> None:
    """Fills in what COCO wants and the source left out: `bbox`, `area`, `iscrowd`."""
    dataset = converted.dataset
    images = {image.id: image for image in dataset.images}
    known = {category.id for category in dataset.categories}
    kept = []
    for annotation in dataset.annotations:
        item = f"annotation {show_id(annotation.id)}"
        image = images.get(annotation.image_id)
        if image is None or annotation.category_id not in known:
            what = "image" if image is None else "category"
            where = show_id(
                annotation.image_id if image is None else annotation.category_id
            )
            converted.notes.append(Note(item, f"left out: there is no {what} {where}"))
            continue
        try:
            _complete(annotation, image)
        except CvtkError as error:
            converted.notes.append(Note(item, f"left out: {error.message}"))
            continue
        kept.append(annotation)
    dataset.annotations = kept


def _complete(annotation: Annotation, image: Image) -> None:
    if annotation.iscrowd is UNSET or annotation.iscrowd is None:
        annotation.iscrowd = 0
    has_box = isinstance(annotation.bbox, list) and len(annotation.bbox) == 4
    has_area = isinstance(annotation.area, (int, float))
    if has_box and has_area:
        return
    width, height = image.size or (0, 0)
    segmentation = annotation.segmentation
    if segmentation:
        area, box = area_and_bbox(segmentation, width, height)
    elif has_box:
        box = annotation.bbox  # type: ignore[assignment]
        area = box[2] * box[3]
    else:
        raise DataError("It has neither mask nor box.")
    annotation.bbox = annotation.bbox if has_box else box
    annotation.area = annotation.area if has_area else area
