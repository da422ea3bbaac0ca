"""Cutting objects out of their images."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import read_image, resolve, write_image
from cvtk.data.masks import to_bitmap
from cvtk.data.reading import Reading
from cvtk.data.types import Annotation, Dataset


def crop(
    dataset: Dataset,
    output: str | Path,
    *,
    margin: int = 0,
    masked: bool = False,
    force: bool = False,
) -> list[Path]:
    """Writes each object as an image: OUTPUT/CLASS/IMAGE_ID.png.

    Args:
        dataset: The set.
        output: A folder.
        margin: Pixels added on each side, as far as the image reaches.
        masked: Whether what is not the object becomes transparent.
        force: Whether files may be replaced.

    Returns:
        The files; crowds and objects without area have none.

    Raises:
        FileError: An image is missing, or a file exists.
    """
    from PIL import Image as Pillow

    names = {category.id: category.name for category in dataset.categories}
    by_image, files = dataset.by_image(), []
    for image in dataset.images:
        wanted = [a for a in by_image[image.id] if not a.is_crowd]
        if not wanted:
            continue
        pixels = read_image(
            resolve(dataset.folder, image.file_name), Reading(to_be_seen=True)
        )
        for annotation in wanted:
            part = _cut(pixels, annotation, margin, masked)
            if part is None:
                continue
            folder = _folder_name(names.get(annotation.category_id, "unknown"))
            number = re.sub(r"[^0-9A-Za-z_-]", "_", str(annotation.id))[:40]
            stem = Path(image.file_name.replace("\\", "_").replace("/", "_")).stem[-80:]
            file = Path(output) / folder / f"{stem}_{number}.png"
            write_image(Pillow.fromarray(part), file, force=force)
            files.append(file)
    return files


def _folder_name(name: str) -> str:
    """A class name as a folder that every system can have."""
    return re.sub(r'[\x00-\x1f\\/:*?"<>|]', "_", name).strip(". ")[:80] or "_"


def _cut(
    pixels: NDArray[np.uint8], annotation: Annotation, margin: int, masked: bool
) -> NDArray[np.uint8] | None:
    """The part of an image (H, W, 3) that an object is in, with a fourth channel where it is `masked`."""
    height, width = pixels.shape[:2]
    around = _around(annotation.box, (width, height), margin)
    if around is None:
        return None
    x0, y0, x1, y1 = around
    part = pixels[y0:y1, x0:x1]
    segmentation = annotation.segmentation if masked else None
    if not segmentation:
        return part
    alpha = to_bitmap(segmentation, width, height)[y0:y1, x0:x1] * np.uint8(255)
    return np.dstack((part, alpha))


def _around(
    box: list[float] | None, size: tuple[int, int], margin: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in whole pixels inside the image; None where nothing is left."""
    if box is None:
        return None
    x, y, w, h = box
    x0, y0 = max(math.floor(x) - margin, 0), max(math.floor(y) - margin, 0)
    x1 = min(math.ceil(x + w) + margin, size[0])
    y1 = min(math.ceil(y + h) + margin, size[1])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
