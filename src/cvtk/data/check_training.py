"""What must be right in labels and annotations before a training starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvtk.errors import DataError, did_you_mean


def check_annotations(
    file: str | Path, classes: list[str], task: str, train: bool
) -> list[str]:
    """Refuses annotations that cannot be used; says which would be ignored in silence.

    Args:
        file: A COCO file.
        classes: The labels.
        task: With "segm", every annotation needs a mask.
        train: Whether every label must occur among the categories.

    Returns:
        Sentences on annotations that do not train: boxes under a pixel, area 0.

    Raises:
        FileError: The file, or an image of it, cannot be found.
        DataError: It is not COCO, or an item in it cannot be used; the message names it.
    """
    from cvtk.data import read

    dataset = read(file)
    names = {category.id: category.name for category in dataset.categories}
    used = {annotation.category_id for annotation in dataset.annotations}
    for identifier in sorted(used - names.keys(), key=str):
        raise DataError(
            f"{file}: annotations of category {identifier!r}, which is not among its categories."
        )
    unknown = sorted({names[i] for i in used} - set(classes))
    missing = [name for name in classes if name not in names.values()] if train else []
    if unknown or missing:
        odd = unknown or missing
        hint = did_you_mean(odd[0], classes if unknown else names.values(), 1)
        raise DataError(
            f"The classes differ: {file} has {list(names.values())}, the labels are {classes};"
            f" {odd[0]!r} is only in {'the former' if unknown else 'the latter'}.",
            hint or "Use the same names on both sides.",
        )
    images = {image.id: image for image in dataset.images}
    lost: list[Any] = []
    for annotation in dataset.annotations:
        item = f"{file}: annotation {annotation.id!r}"
        if annotation.image_id not in images:
            raise DataError(
                f"{item} is of image {annotation.image_id!r}, which the file does not have."
            )
        image = images[annotation.image_id]
        _check_mask(annotation, image, item, task)
        _, _, width, height = annotation.bbox or (0, 0, 1, 1)
        if width < 1 or height < 1 or annotation.area == 0:
            lost.append(annotation.id)
    if not dataset.annotations:
        raise DataError(f"{file} has no annotations.", "Annotate some objects first.")
    if not lost:
        return []
    return [
        f"Note: {len(lost)} of {len(dataset.annotations)} annotations in {file} are not learned from,"
        f" since they are smaller than a pixel (ids {', '.join(map(str, lost[:5]))}...)."
    ]


def _check_mask(annotation: Any, image: Any, item: str, task: str) -> None:
    from cvtk.data import RLE

    mask = annotation.segmentation
    if isinstance(mask, RLE):
        if mask.size != (image.height, image.width):
            raise DataError(
                f"{item} has a mask of {list(mask.size)}, but its image {image.file_name!r} is"
                f" {[image.height, image.width]} (height, width).",
                "Export the annotations again, or correct the image's size in the file.",
            )
    elif mask:
        for polygon in mask:
            if len(polygon) < 6 or len(polygon) % 2:
                raise DataError(
                    f"{item} (image {image.file_name!r}) has a polygon of fewer than three points.",
                    "Redraw or remove it; `cvtk data check --fix` removes such polygons.",
                )
            xs, ys = polygon[::2], polygon[1::2]
            if (
                min(xs) >= image.width
                or min(ys) >= image.height
                or max(xs) <= 0
                or max(ys) <= 0
            ):
                raise DataError(
                    f"{item} lies outside its image {image.file_name!r} ({image.width} x {image.height}).",
                    "Is it of another image, or was the image resized?",
                )
    elif task == "segm":
        raise DataError(
            f"{item} (image {image.file_name!r}) has no mask.",
            "For boxes alone, use --task det.",
        )
