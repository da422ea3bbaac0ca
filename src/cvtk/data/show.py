"""Images with their annotations drawn on them: some of a set, in a folder or on one sheet."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np

from cvtk.data.images import resolve
from cvtk.data.masks import to_bitmap
from cvtk.data.model import Annotation, Dataset, Id, Image
from cvtk.errors import CvtkError, DataError
from cvtk.files import written_whole


def choose(dataset: Dataset, count: int, seed: int = 0) -> list[Image]:
    """Some images, seeded: first such that each class is among them, then any that have annotations."""
    by_image = dataset.by_image()
    order = sorted(dataset.images, key=lambda i: i.file_name)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda i: not by_image[i.id])
    chosen: list[Image] = []
    seen: set[Id] = set()
    for image in order:
        classes = {a.category_id for a in by_image[image.id]}
        if classes - seen and len(chosen) < count:
            chosen.append(image)
            seen |= classes
    taken = {image.id for image in chosen}
    return (chosen + [i for i in order if i.id not in taken])[:count]


def draw(dataset: Dataset, image: Image, annotations: list[Annotation]) -> Any:
    """An image with its annotations, as a Pillow image in RGB.

    Raises:
        FileError: The image is missing.
        DataError: It cannot be read.
    """
    from cvtk.visual.overlays import draw_objects, load_image

    picture = load_image(resolve(dataset.folder, image.file_name))
    classes = {c.id: (k, c.name) for k, c in enumerate(dataset.categories)}
    boxes, labels, texts, masks = [], [], [], []
    for a in annotations:
        if (
            not isinstance(a.bbox, list)
            or len(a.bbox) != 4
            or not np.isfinite(a.bbox).all()
        ):
            continue
        try:
            segmentation = a.segmentation
            mask = to_bitmap(segmentation, *picture.size) if segmentation else None
        except DataError:
            mask = None  # `check` tells about it; the box is drawn at least
        index, name = classes.get(a.category_id, (0, str(a.category_id)))
        boxes.append(np.clip(a.bbox, -(10**6), 10**6).tolist())
        labels.append(index)
        texts.append(name + (" (crowd)" if a.is_crowd else ""))
        masks.append(np.zeros(picture.size[::-1], np.uint8) if mask is None else mask)
    return draw_objects(
        picture,
        bboxes=np.array(boxes).reshape(-1, 4),
        labels=np.array(labels, int),
        texts=texts,
        masks=masks,
    )


def show(
    dataset: Dataset,
    output: str | Path,
    *,
    count: int = 12,
    seed: int = 0,
    force: bool = False,
) -> list[Path]:
    """Draws some images of a set.

    Args:
        dataset: The set.
        output: A folder; or a .png or .jpg file, for one sheet of small pictures.
        count: How many images.
        seed: Which ones.
        force: Whether files may be replaced.

    Returns:
        The files written.

    Raises:
        FileError: An image is missing, or an output file exists.
    """
    output = Path(output)
    images, by_image = choose(dataset, count, seed), dataset.by_image()
    if not images:
        raise DataError(
            f"{dataset.file} has no images to show.", "Is this the right file?"
        )
    if output.suffix.lower() in (".png", ".jpg", ".jpeg"):
        pictures = [draw(dataset, image, by_image[image.id]) for image in images]
        with written_whole(output, force=force) as part:
            _sheet(pictures).save(part)
        return [output]
    files = []
    for image in images:
        file = output / _flat_name(image)
        picture = draw(dataset, image, by_image[image.id])
        with written_whole(file, force=force) as part:
            picture.save(part, quality=90)
        files.append(file)
    return files


def _flat_name(image: Image) -> str:
    """The name of a drawing: without folders, not too long, and always a JPEG."""
    name = re.sub(r'[\x00-\x1f\\/:*?"<>|]', "_", image.file_name)[-80:]
    return name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"


def _sheet(pictures: list[Any], cell: int = 400) -> Any:
    from PIL import Image as Pillow

    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    sheet = Pillow.new("RGB", (columns * cell, rows * cell), (245, 245, 245))
    for k, picture in enumerate(pictures):
        picture.thumbnail((cell - 8, cell - 8))
        x, y = k % columns * cell, k // columns * cell
        sheet.paste(
            picture, (x + (cell - picture.width) // 2, y + (cell - picture.height) // 2)
        )
    return sheet


def samples(dataset: Dataset, folder: Path, count: int, seed: int = 0) -> list[Path]:
    """As `show`, for a report: images that cannot be drawn are passed over, and old files replaced."""
    files = []
    by_image = dataset.by_image()
    for image in choose(dataset, count, seed):
        file = folder / _flat_name(image)
        try:
            picture = draw(dataset, image, by_image[image.id])
        except CvtkError:
            continue
        picture.thumbnail((1200, 1200))
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file, force=True) as part:
            picture.save(part, quality=88)
        files.append(file)
    return files
