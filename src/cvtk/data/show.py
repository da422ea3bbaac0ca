"""Images with their annotations drawn on them: some of a set, in a folder or on one sheet."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import read_image, resolve, write_image
from cvtk.data.keypoints import keypoints_of, limbs_of
from cvtk.data.masks import to_bitmap
from cvtk.data.reading import AS_SEEN
from cvtk.data.types import Annotation, Dataset, Id, Image
from cvtk.errors import CvtkError, DataError
from cvtk.io import require_free


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
    from cvtk.visual.overlays import draw_objects

    # A drawing is to be seen, so images of more than 8 bits are stretched.
    pixels = read_image(resolve(dataset.folder, image.file_name), AS_SEEN)
    height, width = pixels.shape[:2]
    classes = {c.id: (k, c.name) for k, c in enumerate(dataset.categories)}
    shown = [a for a in annotations if a.box is not None]
    boxes, labels, texts = [], [], []
    for annotation in shown:
        unknown = (0, str(annotation.category_id))
        index, name = classes.get(annotation.category_id, unknown)
        boxes.append(np.clip(annotation.box or [], -(10**6), 10**6).tolist())
        labels.append(index)
        texts.append(name + (" (crowd)" if annotation.is_crowd else ""))
    picture = draw_objects(
        pixels,
        bboxes=np.array(boxes).reshape(-1, 4),
        labels=np.array(labels, int),
        texts=texts,
        masks=_Bitmaps(shown, width, height),
        class_names=[category.name for category in dataset.categories],
    )
    _draw_skeletons(picture, dataset, annotations)
    return picture


def _draw_skeletons(
    picture: Any, dataset: Dataset, annotations: list[Annotation]
) -> None:
    """Draws the keypoints of those objects that have any, each in the colour of its class."""
    from cvtk.visual.overlays import class_colour
    from cvtk.visual.skeletons import draw_skeleton

    order = {category.id: k for k, category in enumerate(dataset.categories)}
    for annotation in annotations:
        points = keypoints_of(annotation)
        index = order.get(annotation.category_id)
        if points is not None and index is not None:
            limbs = limbs_of(dataset.categories[index])
            draw_skeleton(picture, points, limbs, class_colour(index))


class _Bitmaps(Sequence[NDArray[np.uint8]]):
    """The masks (H, W) of annotations, each drawn when it is asked for: hundreds would fill the memory."""

    def __init__(self, annotations: list[Annotation], width: int, height: int) -> None:
        self._annotations, self._size = annotations, (width, height)

    def __len__(self) -> int:
        return len(self._annotations)

    def __getitem__(self, index: Any) -> Any:
        """The mask; empty where there is none, or one that `check` complains of."""
        width, height = self._size
        try:
            segmentation = self._annotations[index].segmentation
            if segmentation:
                return to_bitmap(segmentation, width, height)
        except DataError:
            pass
        return np.zeros((height, width), np.uint8)


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
        require_free(output, force=force)
        pictures = [draw(dataset, image, by_image[image.id]) for image in images]
        write_image(_sheet(pictures), output, force=force)
        return [output]
    files = []
    for image in images:
        file = output / _flat_name(image)
        picture = draw(dataset, image, by_image[image.id])
        write_image(picture, file, force=force, quality=90)
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
        write_image(picture, file, force=True, quality=88)
        files.append(file)
    return files
