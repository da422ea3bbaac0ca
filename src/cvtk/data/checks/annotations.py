"""Checks of annotations: what they point to, whether they have a box or a mask, and copies of one another."""

from __future__ import annotations

from cvtk.data.checks.boxes import check_areas, check_boxes
from cvtk.data.checks.chunk import DROP, FIX, SIZE, Chunk
from cvtk.data.checks.outlines import check_outlines
from cvtk.data.checks.problems import Problems
from cvtk.data.types import Dataset, Id, show_id
from cvtk.errors import DataError


def check_annotations(
    dataset: Dataset, problems: Problems, *, thorough: bool = True
) -> None:
    """Checks the annotations of a set, without its image files.

    Args:
        dataset: The set.
        problems: Gets what is found.
        thorough: Whether to look for what is suspicious too (outlines that cross themselves, copies);
            else only for what cannot be used.
    """
    images = {image.id: image for image in dataset.images}
    known: set[Id] = {category.id for category in dataset.categories}
    masks = any(a.has_mask for a in dataset.annotations)
    if dataset.annotations and not masks:
        text = "no annotation has a mask: the set is for detection (--task det)"
        problems.add("note", "no mask", dataset.file, "annotations", text, _BOXES)
    seen: set[int] = set()
    for start in range(0, len(dataset.annotations), SIZE):
        part = dataset.annotations[start : start + SIZE]
        chunk = Chunk(part, images, dataset.file, problems)
        _check_references(chunk, known)
        _check_parts(chunk, masks)
        if thorough:
            _check_copies(chunk, seen)
        masked = check_outlines(chunk, crossings=thorough)
        check_boxes(chunk, masked.extent)
        check_areas(chunk, masked.area)


def _check_references(chunk: Chunk, known: set[Id]) -> None:
    for k, (annotation, image) in enumerate(
        zip(chunk.annotations, chunk.images, strict=True)
    ):
        if image is None:
            text = f"there is no image {show_id(annotation.image_id)}"
            chunk.tell(k, "error", "points nowhere", text, DROP)
        if annotation.category_id not in known:
            text = f"there is no category {show_id(annotation.category_id)}"
            chunk.tell(k, "error", "points nowhere", text, DROP)


def _check_parts(chunk: Chunk, masks_expected: bool) -> None:
    """Reads the masks, and tells of annotations that lack mask or box."""
    for k, annotation in enumerate(chunk.annotations):
        if annotation.has_mask:
            try:
                chunk.segmentations[k] = annotation.segmentation
            except DataError as error:
                chunk.tell(k, "error", "mask form", error.message, error.remedy)
        elif masks_expected and annotation.bbox:
            text = "it has a box but no mask, unlike others of the set"
            chunk.tell(k, "warning", "no mask", text, _NO_MASK)
        if isinstance(annotation.bbox, list) and len(annotation.bbox) != 4:
            text = (
                f"its box has {len(annotation.bbox)} numbers; x, y, width, height are 4"
            )
            chunk.tell(k, "error", "box form", text, FIX)
        elif not annotation.bbox and not annotation.has_mask:
            text = "it has neither box nor mask"
            chunk.tell(k, "error", "no box", text, DROP)


_BOXES = "`cvtk data convert --boxes-to-masks` takes boxes as masks."
_NO_MASK = "Draw its mask, or leave it out with `cvtk data remove`; detection can use it as it is."


def _check_copies(chunk: Chunk, seen: set[int]) -> None:
    for k, a in enumerate(chunk.annotations):
        same = hash((a.image_id, a.category_id, tuple(a.bbox or ()), bytes(a.raw)))
        if same in seen:
            text = "another annotation is its very copy"
            chunk.tell(k, "warning", "annotation twice", text, FIX)
        seen.add(same)
