"""The repaired copy that `check --fix` writes, and the list of what was done to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from cvtk.data.checks.boxes import area_tolerance
from cvtk.data.checks.chunk import describe
from cvtk.data.checks.images import BESIDE
from cvtk.data.coco import read, write
from cvtk.data.formats.finder import find_beside
from cvtk.data.geometry import measure
from cvtk.data.ids import number_ids
from cvtk.data.images import in_parallel, probe, resolve, too_thin
from cvtk.data.masks import area_and_bbox, check_polygons, require_size
from cvtk.data.merge import merge_categories, merge_images
from cvtk.data.relocate import relocate_dataset, require_other
from cvtk.data.types import (
    RLE,
    Annotation,
    Dataset,
    Id,
    Image,
    Note,
    Polygons,
    show_id,
)
from cvtk.errors import CvtkError, DataError
from cvtk.io import is_file

Tell = Callable[[str], None]
"""Records what was done to an item."""


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
    doubtful = merge_categories(dataset, notes)
    merge_images(dataset, notes)
    if images:
        _require_some_image(dataset)
    kept = _images(dataset, notes, images)
    dataset.images = list(kept.values())
    dataset.annotations = _annotations(dataset, kept, doubtful, notes)
    notes += number_ids(dataset)
    return dataset, notes


def repair_file(
    source: Path, target: Path, *, images: bool = True, force: bool = False
) -> tuple[Dataset, list[Note]]:
    """Writes a repaired copy of a COCO file; images are copied where `target`'s folder does not hold them."""
    require_other(source, target, force=force)
    dataset, notes = repair(source, images=images)
    dataset = relocate_dataset(dataset, target.parent)
    write(dataset, target, force=force)
    return dataset, notes


def _require_some_image(dataset: Dataset) -> None:
    """Refuses to drop all images of a set: then it is their folder that is wrong.

    Raises:
        DataError: No image is there, and the first lies elsewhere.
    """
    places = []
    for image in dataset.images:
        try:
            places.append(resolve(dataset.folder, image.file_name))
        except DataError:  # dropped, and told, below
            continue
    if any(is_file(place) for place in places):
        return
    for image in dataset.images:
        if find_beside(dataset.folder, image.file_name):
            raise DataError(f"{dataset.file}: none of the images is there.", BESIDE)


def _images(dataset: Dataset, notes: list[Note], files: bool) -> dict[Id, Image]:
    """The images that can be used, by id, with their true sizes."""

    def look(image: Image) -> tuple[Image, str]:
        try:
            place = resolve(dataset.folder, image.file_name)
            true_size = _size_of_file(place) if files else None
            sized = image
            if true_size is not None:
                width, height = true_size
                sized = msgspec.structs.replace(image, width=width, height=height)
            require_size(sized.width, sized.height)
        except DataError as error:
            return image, error.message
        return sized, ""

    kept: dict[Id, Image] = {}
    for image, (sized, trouble) in zip(
        dataset.images, in_parallel(look, dataset.images), strict=True
    ):
        if trouble:
            notes.append(Note(image.describe(), f"dropped: {trouble}"))
            continue
        if sized.size != image.size:
            was = f"{image.width} x {image.height}" if image.size else "missing"
            text = f"its size is now {sized.width} x {sized.height}, as the file has it (it was {was})"
            notes.append(Note(image.file_name, text))
        kept[image.id] = sized
    return kept


def _size_of_file(place: Path) -> tuple[int, int]:
    """The displayed size of an image file in pixels; raises where it cannot be used."""
    facts = probe(place)
    trouble = facts.trouble or too_thin(facts.width, facts.height)
    if trouble:
        raise DataError(trouble)
    return facts.width, facts.height


def _annotations(
    dataset: Dataset, images: dict[Id, Image], doubtful: set[Id], notes: list[Note]
) -> list[Annotation]:
    """The annotations that can be used, mended, each with an id of its own."""
    known = {category.id for category in dataset.categories}
    numbers = [a.id for a in dataset.annotations if isinstance(a.id, int)]
    spare = 1 + max(numbers, default=0)
    result: list[Annotation] = []
    seen: set[object] = set()
    ids: set[Id] = set()
    for annotation in dataset.annotations:
        item = describe(annotation, images.get(annotation.image_id))

        def tell(text: str, item: str = item) -> None:
            notes.append(Note(item, text))

        try:
            image = images.get(annotation.image_id)
            if image is None:
                where = show_id(annotation.image_id)
                raise DataError(f"image {where} is not there")
            category = show_id(annotation.category_id)
            if annotation.category_id in doubtful:
                raise DataError(f"category {category} stood for several names")
            if annotation.category_id not in known:
                raise DataError(f"category {category} is not there")
            mended = _annotation(annotation, image, tell)
        except CvtkError as error:
            tell(f"dropped: {error.message}")
            continue
        box = tuple(mended.bbox or ())
        key = (mended.image_id, mended.category_id, box, hash(bytes(mended.raw)))
        if key in seen:
            tell("dropped: it is the copy of another")
            continue
        seen.add(key)
        if mended.id in ids:
            tell(f"its id was taken; it is now {spare}")
            mended.id, spare = spare, spare + 1
        ids.add(mended.id)
        result.append(mended)
    return result


def _annotation(annotation: Annotation, image: Image, tell: Tell) -> Annotation:
    """A mended copy.

    Raises:
        DataError: Nothing of it can be used.
    """
    mended = msgspec.structs.replace(annotation)
    if annotation.iscrowd is UNSET or annotation.iscrowd is None:
        mended.iscrowd = 0
    segmentation = annotation.segmentation
    if isinstance(segmentation, list):
        clipped = _clip(segmentation, image, tell)
        if clipped != segmentation:
            mended.segmentation = segmentation = clipped
    if segmentation is None:
        _mend_box(mended, image, tell)
    else:
        _mend_to_mask(mended, segmentation, image, tell)
    return mended


def _clip(polygons: Polygons, image: Image, tell: Tell) -> Polygons:
    """Polygons inside the image; those that are none are dropped."""
    result: Polygons = []
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            tell(f"a part of {len(polygon)} numbers was dropped")
            continue
        check_polygons([polygon], *(image.size or (0, 0)))
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        inside = points.clip(0, image.size)
        if np.abs(points - inside).max() > 1:
            tell("its mask was clipped to the image")
            result.append([float(v) for v in inside.ravel()])
        else:
            result.append(polygon)
    if not result:
        raise DataError("No part of its mask is left.")
    return result


def _mend_to_mask(
    mended: Annotation, segmentation: Polygons | RLE, image: Image, tell: Tell
) -> None:
    """Box and area become those of the mask, where they differ."""
    width, height = image.size or (0, 0)
    area, around = area_and_bbox(segmentation, width, height)
    if area <= 0 or (isinstance(segmentation, list) and _is_flat(segmentation)):
        raise DataError("Its mask has no area.")
    if min(around[2:]) < 1:
        raise DataError("Its mask is under a pixel.")
    if not _is_near(mended.box, around):
        tell(f"its box is now {around} (it was {mended.bbox or 'missing'})")
        mended.bbox = around
    stated = mended.area
    if not isinstance(stated, (int, float)):
        tell(f"its area is now {area:g} (it was missing)")
        mended.area = area
    elif abs(stated - area) > area_tolerance(area):
        tell(f"its area is now {area:g} (it was {stated:g})")
        mended.area = area


def _is_flat(polygons: Polygons) -> bool:
    """Whether outlines go out and back along one line, which draws pixels but covers none."""
    facts = measure(polygons)
    return not facts.crossing.any() and float(facts.area.sum()) <= 0


def _is_near(box: list[float] | None, around: list[float]) -> bool:
    """Whether a box agrees with the box around its mask, a little stricter than the check-up is."""
    if box is None or min(box[2:]) < 1:
        return False
    x, y, w, h = box
    x0, y0, width, height = around
    corners = np.array([x - x0, y - y0, x + w - x0 - width, y + h - y0 - height])
    side = min(max(w, h), max(width, height))
    return float(np.abs(corners).max()) <= max(1.0, 0.04 * side)


def _mend_box(mended: Annotation, image: Image, tell: Tell) -> None:
    """The box of an annotation without a mask is clipped to the image."""
    width, height = image.size or (0, 0)
    if mended.box is None:
        raise DataError("It has neither mask nor box.")
    x, y, w, h = mended.box
    x0, y0 = max(x, 0.0), max(y, 0.0)
    x1, y1 = min(x + w, float(width)), min(y + h, float(height))
    if x1 - x0 <= 0 or y1 - y0 <= 0:
        raise DataError("Its box has no area inside the image.")
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise DataError("Its box is under a pixel.")
    area = (x1 - x0) * (y1 - y0)
    if max(x0 - x, y0 - y, x + w - x1, y + h - y1) > 1:
        mended.bbox, mended.area = [x0, y0, x1 - x0, y1 - y0], area
        tell(f"its box was clipped to {mended.bbox}")
    elif not isinstance(mended.area, (int, float)):
        mended.area = area
        tell(f"its area is now {area:g}, that of its box")
