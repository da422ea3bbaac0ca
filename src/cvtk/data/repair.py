"""The repaired copy that `check --fix` writes, and the list of what was done to it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from cvtk.data.coco import read, write
from cvtk.data.formats.base import Note
from cvtk.data.images import in_parallel, probe, resolve
from cvtk.data.masks import area_and_bbox, require_size
from cvtk.data.model import RLE, Annotation, Dataset, Id, Image, Polygons, show_id
from cvtk.data.objects import describe
from cvtk.data.place import place_dataset
from cvtk.errors import CvtkError, DataError, FileError


def repair(file: str | Path, *, images: bool = True) -> tuple[Dataset, list[Note]]:
    """Mends a COCO file: clips, computes areas and boxes anew, drops what cannot be saved.

    Args:
        file: The COCO file; it is not changed.
        images: Whether to open the images, so that those that cannot be used are dropped.

    Returns:
        The repaired set, and each change.

    Raises:
        FileError: The file is missing.
        DataError: It is not COCO at all.
    """
    notes: list[Note] = []
    dataset = read(
        file, lambda item, error: notes.append(Note(item, f"dropped: {error.message}"))
    )
    kept = _images(dataset, notes, images)
    known = {category.id for category in dataset.categories}
    result: list[Annotation] = []
    seen: set[object] = set()
    ids: set[Id] = set()
    spare = 1 + max(
        (a.id for a in dataset.annotations if isinstance(a.id, int)), default=0
    )
    for annotation in dataset.annotations:
        item = describe(annotation, kept.get(annotation.image_id))
        if annotation.image_id not in kept:
            notes.append(
                Note(
                    item, f"dropped: image {show_id(annotation.image_id)} is not there"
                )
            )
            continue
        if annotation.category_id not in known:
            notes.append(
                Note(
                    item,
                    f"dropped: category {show_id(annotation.category_id)} is not there",
                )
            )
            continue
        try:
            mended = _annotation(annotation, kept[annotation.image_id], item, notes)
        except CvtkError as error:
            notes.append(Note(item, f"dropped: {error.message}"))
            continue
        key = (
            mended.image_id,
            mended.category_id,
            tuple(mended.bbox or ()),
            hash(bytes(mended.raw)),
        )
        if key in seen:
            notes.append(Note(item, "dropped: it is the copy of another"))
            continue
        seen.add(key)
        if mended.id in ids:
            notes.append(Note(item, f"its id was taken; it is now {spare}"))
            mended.id, spare = spare, spare + 1
        ids.add(mended.id)
        result.append(mended)
    dataset.images, dataset.annotations = list(kept.values()), result
    return dataset, notes


def _images(dataset: Dataset, notes: list[Note], files: bool) -> dict[Id, Image]:
    kept: dict[Id, Image] = {}
    names: set[str] = set()

    def look(image: Image) -> tuple[Image, str]:
        try:
            place = resolve(dataset.folder, image.file_name)
        except DataError as error:
            return image, error.message
        if not files:
            return image, ""
        facts = probe(place)
        if facts.error:
            return image, f"the image is {facts.error} ({facts.detail})"
        if image.size != (facts.width, facts.height):
            text = f"its size is now {facts.width} x {facts.height}, as the file has it"
            notes.append(
                Note(image.file_name, f"{text} (it was {image.width} x {image.height})")
            )
            image = msgspec.structs.replace(
                image, width=facts.width, height=facts.height
            )
        return image, ""

    for image, trouble in in_parallel(look, dataset.images):
        if not trouble:
            try:
                require_size(image.width, image.height)
            except DataError as error:
                trouble = error.message
        if not trouble and image.id in kept:
            trouble = f"another image has the id {show_id(image.id)}"
        if not trouble and image.file_name in names:
            trouble = "another image has its file name"
        if trouble:
            notes.append(
                Note(
                    f"image {show_id(image.id)} ({image.file_name[:100]})",
                    f"dropped: {trouble}",
                )
            )
            continue
        names.add(image.file_name)
        kept[image.id] = image
    return kept


def _clip(polygons: Polygons, image: Image, item: str, notes: list[Note]) -> Polygons:
    width, height = image.size or (0, 0)
    result: Polygons = []
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            notes.append(Note(item, f"a part of {len(polygon)} numbers was dropped"))
            continue
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        inside = points.clip(0, (width, height))
        if np.abs(points - inside).max() > 1:
            notes.append(Note(item, "its mask was clipped to the image"))
            result.append([float(v) for v in inside.ravel()])
        else:
            result.append(polygon)
    return result


def _annotation(
    annotation: Annotation, image: Image, item: str, notes: list[Note]
) -> Annotation:
    width, height = image.size or (0, 0)
    mended = msgspec.structs.replace(annotation)
    segmentation = annotation.segmentation
    if isinstance(segmentation, list):
        clipped = _clip(segmentation, image, item, notes)
        if clipped != segmentation:
            mended.segmentation = segmentation = clipped
        if not clipped:
            raise DataError("No part of its mask is left.")
    box = (
        annotation.bbox
        if isinstance(annotation.bbox, list) and len(annotation.bbox) == 4
        else None
    )
    if isinstance(segmentation, (list, RLE)):
        area, around = area_and_bbox(segmentation, width, height)
        if area <= 0:
            raise DataError("Its mask has no area.")
        near = box is not None and np.abs(np.subtract(box, around)).max() <= max(
            2.0, 0.05 * max(around[2:])
        )
        if not near:
            notes.append(Note(item, f"its box is now {around} (it was {box})"))
            mended.bbox = around
        if (
            not isinstance(annotation.area, (int, float))
            or abs(annotation.area - area) > 10 + 0.1 * area
        ):
            was = (
                "missing"
                if annotation.area in (UNSET, None)
                else f"{annotation.area:g}"
            )
            notes.append(Note(item, f"its area is now {area:g} (it was {was})"))
            mended.area = area
    else:
        if box is None:
            raise DataError("It has neither mask nor box.")
        x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
        x1, y1 = min(box[0] + box[2], float(width)), min(box[1] + box[3], float(height))
        if x1 - x0 <= 0 or y1 - y0 <= 0:
            raise DataError("Its box has no area inside the image.")
        if (
            max(x0 - box[0], y0 - box[1], box[0] + box[2] - x1, box[1] + box[3] - y1)
            > 1
        ):
            mended.bbox, mended.area = [x0, y0, x1 - x0, y1 - y0], (x1 - x0) * (y1 - y0)
            notes.append(Note(item, f"its box was clipped to {mended.bbox}"))
        elif not isinstance(annotation.area, (int, float)):
            mended.area = (x1 - x0) * (y1 - y0)
            notes.append(
                Note(item, f"its area is now {mended.area:g}, that of its box")
            )
    if annotation.iscrowd is UNSET or annotation.iscrowd is None:
        mended.iscrowd = 0
    return mended


def repair_file(
    source: Path, target: Path, *, images: bool = True, force: bool = False
) -> tuple[Dataset, list[Note]]:
    """Writes a repaired copy of a COCO file; images are copied where `target`'s folder does not hold them."""
    if target.exists() and (not force or target.samefile(source)):
        raise FileError(
            f"{target} exists already.", "Choose another name, or say --force."
        )
    dataset, notes = repair(source, images=images)
    dataset = place_dataset(dataset, target.parent)
    write(dataset, target, force=force)
    return dataset, notes
