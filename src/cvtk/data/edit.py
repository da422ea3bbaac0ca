"""Combining data sets, removing parts of them, and cropping objects out of their images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cvtk.data.formats.base import Source
from cvtk.data.images import resolve
from cvtk.data.masks import to_bitmap
from cvtk.data.model import Category, Dataset, Id
from cvtk.errors import DataError, did_you_mean
from cvtk.files import written_whole


def combine(datasets: list[Dataset]) -> tuple[Dataset, dict[Id, Source]]:
    """Several sets as one: classes of equal names become one, ids are numbered anew from 1.

    Images keep their own files: those of equal name from different folders stay apart.

    Args:
        datasets: Two or more sets.

    Returns:
        The set, and where its images are (for `place_images`).

    Raises:
        DataError: One image is in two sets, or an annotation points nowhere.
    """
    result = Dataset(extra=dict(datasets[0].extra), folder=datasets[0].folder)
    sources: dict[Id, Source] = {}
    classes: dict[str, Category] = {}
    taken: dict[Path, Path | None] = {}
    names: set[str] = set()
    for dataset in datasets:
        for key, value in dataset.extra.items():
            result.extra.setdefault(key, value)
        category_ids: dict[Id, Id] = {}
        for category in dataset.categories:
            new = msgspec.structs.replace(category, id=len(classes) + 1)
            category_ids[category.id] = classes.setdefault(category.name, new).id
        image_ids: dict[Id, Id] = {}
        for image in dataset.images:
            place = resolve(dataset.folder, image.file_name).absolute()
            if place in taken:
                raise DataError(
                    f"{dataset.file}: the image {image.file_name!r} is in {taken[place]} too.",
                    "Remove it from one of them with `cvtk data remove`.",
                )
            taken[place] = dataset.file
            number = len(result.images) + 1
            name = image.file_name.replace("\\", "/")
            if name in names:  # of another folder
                name = f"{dataset.folder.absolute().name}/{name}"
                while name in names:
                    name = f"_{name}"
            names.add(name)
            image_ids[image.id], sources[number] = number, place
            result.images.append(
                msgspec.structs.replace(image, id=number, file_name=name)
            )
        for annotation in dataset.annotations:
            if (
                annotation.image_id not in image_ids
                or annotation.category_id not in category_ids
            ):
                raise DataError(
                    f"{dataset.file}: annotation {annotation.id!r} points to an image or category that is not "
                    "there.",
                    "Mend it with `cvtk data check FILE --fix OUT.json`.",
                )
            result.annotations.append(
                msgspec.structs.replace(
                    annotation,
                    id=len(result.annotations) + 1,
                    image_id=image_ids[annotation.image_id],
                    category_id=category_ids[annotation.category_id],
                )
            )
    result.categories = list(classes.values())
    return result, sources


def _matches(value: Id, name: str, wanted: set[str], used: set[str]) -> bool:
    hits = {w for w in wanted if w in (str(value), name, name.rsplit("/", 1)[-1])}
    used |= hits
    return bool(hits)


def remove(
    dataset: Dataset,
    *,
    images: Iterable[str] = (),
    classes: Iterable[str] = (),
    annotations: Iterable[str] = (),
    empty: bool = False,
) -> Dataset:
    """A set without some of its parts.

    Args:
        dataset: The set; not changed.
        images: Ids or file names of images that go, with their annotations.
        classes: Names or ids of classes that go, with their annotations.
        annotations: Ids of annotations that go.
        empty: Whether images without annotations go too.

    Raises:
        DataError: Something to be removed is not there.
    """
    used: set[str] = set()
    gone_images, gone_classes, gone = set(images), set(classes), set(annotations)
    kept_images = [
        i for i in dataset.images if not _matches(i.id, i.file_name, gone_images, used)
    ]
    _all_used(
        "image", gone_images, used, [i.file_name for i in dataset.images], dataset
    )
    used = set()
    kept_classes = [
        c for c in dataset.categories if not _matches(c.id, c.name, gone_classes, used)
    ]
    _all_used("class", gone_classes, used, dataset.class_names, dataset)
    _all_used(
        "annotation", gone, {str(a.id) for a in dataset.annotations} & gone, [], dataset
    )
    image_ids, class_ids = {i.id for i in kept_images}, {c.id for c in kept_classes}
    kept = [
        a
        for a in dataset.annotations
        if a.image_id in image_ids
        and a.category_id in class_ids
        and str(a.id) not in gone
    ]
    if empty:
        filled = {a.image_id for a in kept}
        kept_images = [i for i in kept_images if i.id in filled]
    return Dataset(
        kept_images,
        kept,
        kept_classes,
        folder=dataset.folder,
        file=dataset.file,
        extra=dataset.extra,
    )


def _all_used(
    kind: str, wanted: set[str], used: set[str], names: list[str], dataset: Dataset
) -> None:
    for name in sorted(wanted - used):
        raise DataError(
            f"{dataset.file} has no {kind} {name!r}.",
            did_you_mean(name, names) or "Nothing was done.",
        )


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

    from cvtk.visual.overlays import load_image

    names = {category.id: category.name for category in dataset.categories}
    by_image, files = dataset.by_image(), []
    for image in dataset.images:
        wanted = [a for a in by_image[image.id] if not a.is_crowd]
        picture = (
            load_image(resolve(dataset.folder, image.file_name)) if wanted else None
        )
        for annotation in wanted:
            assert picture is not None
            box = _box(annotation.bbox, picture.size, margin)
            if box is None:
                continue
            part: Any = picture.crop(box)
            segmentation = annotation.segmentation if masked else None
            if segmentation:
                mask = to_bitmap(segmentation, *picture.size)[
                    box[1] : box[3], box[0] : box[2]
                ]
                part.putalpha(Pillow.fromarray(mask * np.uint8(255)))
            folder = _folder_name(names.get(annotation.category_id, "unknown"))
            number = re.sub(r"[^0-9A-Za-z_-]", "_", str(annotation.id))[:40]
            stem = Path(image.file_name.replace("\\", "_").replace("/", "_")).stem[-80:]
            file = Path(output) / folder / f"{stem}_{number}.png"
            with written_whole(file, force=force) as target:
                part.save(target)
            files.append(file)
    return files


def _folder_name(name: str) -> str:
    """A class name as a folder that every system can have."""
    return re.sub(r'[\x00-\x1f\\/:*?"<>|]', "_", name).strip(". ")[:80] or "_"


def _box(
    bbox: Any, size: tuple[int, int], margin: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in whole pixels inside the image; None where nothing is left."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not np.isfinite(bbox).all():
        return None
    x0, y0 = (
        max(int(np.floor(bbox[0])) - margin, 0),
        max(int(np.floor(bbox[1])) - margin, 0),
    )
    x1 = min(int(np.ceil(bbox[0] + bbox[2])) + margin, size[0])
    y1 = min(int(np.ceil(bbox[1] + bbox[3])) + margin, size[1])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def combine_files(
    sources: list[Path], target: Path, *, force: bool = False
) -> tuple[Dataset, int]:
    """Combines COCO files into one; images are copied only where `target`'s folder does not hold them.

    Returns:
        The set, and how many images were copied.
    """
    from cvtk.data.coco import read, write
    from cvtk.data.place import place_images
    from cvtk.errors import FileError

    if target.exists() and not force:
        raise FileError(
            f"{target} exists already.", "Choose another name, or say --force."
        )
    if len(sources) < 2:
        raise DataError(
            "There is only one set to combine.",
            "Give two files or more, and then the target.",
        )
    dataset, places = combine([read(file) for file in sources])
    dataset, copied = place_images(dataset, places, target.parent)
    write(dataset, target, force=force)
    return dataset, copied


def remove_from_file(
    source: Path, target: Path, *, force: bool = False, **what: Any
) -> tuple[Dataset, Dataset]:
    """Writes a COCO file without some parts (as for `remove`).

    Returns:
        The set before and after.
    """
    from cvtk.data.coco import read, write
    from cvtk.data.place import place_dataset
    from cvtk.errors import FileError

    if target.exists() and (not force or target.samefile(source)):
        raise FileError(
            f"{target} exists already.", "Choose another name, or say --force."
        )
    before = read(source)
    after = place_dataset(remove(before, **what), target.parent)
    write(after, target, force=force)
    return before, after
