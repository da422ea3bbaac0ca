"""The platform's index files: what they name is checked, and written as cvtk reads it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cvtk import data
from cvtk.data.images import image_size, in_parallel, probe
from cvtk.data.types import Annotation, Category, Dataset, Id, Image
from cvtk.errors import CvtkError
from cvtk.io import is_file, read_text
from cvtk.log import logger
from cvtk.ymir.ark import read_boxes
from cvtk.ymir.failures import Code, Failure
from cvtk.ymir.task import Task

ASSETS = "assets"  # a link to the platform's folder of images, beside our COCO files
SHOWN = 3  # names in a message


def prepare(task: Task) -> None:
    """Writes the sets of a training, or the list of images, to the folder for our work.

    Raises:
        Failure: An index, an annotation or an image cannot be used.
    """
    places = task.environment.input
    if task.job != "training":
        index = places["candidate_index_file"]
        images = [row[0] for row in read_index(index, places["root_dir"])]
        require_images(images, index)
        (task.work / "images.txt").write_text("\n".join(images), encoding="utf-8")
        return
    (task.work / ASSETS).symlink_to(places["assets_dir"].absolute())
    for key, file in (
        ("training_index_file", task.train),
        ("val_index_file", task.valid),
    ):
        rows = read_index(places[key], places["root_dir"])
        require_images([row[0] for row in rows], places[key])
        dataset = read_split(rows, places[key], places["assets_dir"], task.class_names)
        data.write(dataset, file, force=True)


def read_index(file: Path, root: Path) -> list[list[str]]:
    """The rows of an index: an image, and for training its annotation file; each image once.

    Args:
        file: The index.
        root: What paths are relative to that are no complete ones.

    Raises:
        Failure: It is missing or empty.
    """
    try:
        text = read_text(file)
    except CvtkError as error:
        raise Failure(Code.DATA, error.message, error.remedy) from None
    rows = {}
    for line in text.splitlines():
        paths = [str(root / path.strip()) for path in line.split("\t") if path.strip()]
        if paths:
            rows[paths[0]] = paths
    if not rows:
        raise Failure(Code.DATA, f"{file} names no images.", "Choose a data set.")
    return list(rows.values())


def require_images(images: list[str], index: Path) -> None:
    """Opens every image.

    Raises:
        Failure: Some are missing or cannot be read.
    """
    looked = in_parallel(lambda image: probe(Path(image)), images)
    bad = [facts for facts in looked if facts.error]
    if not bad:
        return
    shown = "; ".join(f"{facts.path}: {facts.trouble}" for facts in bad[:SHOWN])
    raise Failure(
        Code.DATA if bad[0].error == "missing" else Code.IMAGE,
        f"{len(bad)} of the {len(images)} images in {index} cannot be read: {shown}.",
        "Remove them from the data set, or replace them.",
    )


def read_split(
    rows: list[list[str]], index: Path, assets: Path, class_names: list[str]
) -> Dataset:
    """The images that an index names, with the annotations of the classes to learn.

    Args:
        rows: Of the index.
        index: Where they were read from, for messages.
        assets: The folder of images, which file names in the COCO file are relative to.
        class_names: The classes to learn; their ids are counted from 1 in this order.

    Raises:
        Failure: An annotation file cannot be used, or knows none of the images or classes.
    """
    files = sorted({row[1] for row in rows if len(row) > 1})
    if not files:
        raise Failure(
            Code.DATA,
            f"{index} names no annotations beside its images.",
            "Keep export_format as this executor's training template has it.",
        )
    split = Dataset(
        categories=[Category(id_, name) for id_, name in enumerate(class_names, 1)]
    )
    if files[0].endswith(".txt"):
        _add_boxes(split, rows, index, assets)
        return split
    waiting = {os.path.normpath(row[0]): row[0] for row in rows}
    for file in files:
        try:
            annotated = data.read(file)
        except CvtkError as error:
            raise Failure(Code.DATA, error.message, error.remedy) from None
        _require_some_class(annotated, class_names)
        _add(split, annotated, _named(annotated.images, waiting, assets), assets)
    _add_negatives(split, list(waiting.values()), index, assets)
    return split


def _named(
    images: Iterable[Image], waiting: dict[str, str], assets: Path
) -> dict[Id, str]:
    """The path of each image of a COCO file that an index names; they are waited for no longer.

    A file name is relative to the folder of images. Where nothing lies there, its last part is enough, for the
    platform gives each image a name of its own.
    """
    by_name = {Path(path).name: path for path in waiting}
    found = {}
    for image in images:
        path = os.path.normpath(assets / image.file_name)
        if path not in waiting and not is_file(Path(path)):
            path = by_name.get(Path(image.file_name).name, "")
        if path in waiting:
            found[image.id] = waiting.pop(path)
    return found


def _add(
    split: Dataset, annotated: Dataset, paths: dict[Id, str], assets: Path
) -> None:
    """Adds images with their annotations; ids are counted on from 1."""
    ids: dict[Id, Id] = {}
    for image in annotated.images:
        if image.id in paths and image.id not in ids:
            ids[image.id] = len(split.images) + 1
            name = _name_beside(paths[image.id], assets)
            split.images.append(Image(ids[image.id], name, image.width, image.height))
    classes = {category.name: category.id for category in split.categories}
    by_id = {c.id: classes.get(c.name) for c in annotated.categories}
    other = 0
    for item in annotated.annotations:
        if item.image_id not in ids:
            continue
        category = by_id.get(item.category_id)
        if category is None:
            other += 1
            continue
        number = len(split.annotations) + 1
        split.annotations.append(
            Annotation(
                number,
                ids[item.image_id],
                category,
                item.bbox,
                item.area,
                item.iscrowd,
                item.raw,
            )
        )
    if other:
        logger.info(
            f"{annotated.file}: objects of classes that are not to be learnt: {other}."
        )


def _add_boxes(
    split: Dataset, rows: list[list[str]], index: Path, assets: Path
) -> None:
    """Adds images with their boxes, of which each image has a file of its own.

    Raises:
        Failure: A file cannot be used.
    """
    missing = 0
    for image, *files in rows:
        width, height = image_size(Path(image))
        number = len(split.images) + 1
        split.images.append(Image(number, _name_beside(image, assets), width, height))
        boxes = []
        if files and is_file(Path(files[0])):
            boxes = read_boxes(Path(files[0]), len(split.categories))
        else:
            missing += 1
        for category, box in boxes:
            id_, area = len(split.annotations) + 1, box[2] * box[3]
            split.annotations.append(Annotation(id_, number, category, box, area, 0))
    if missing:
        logger.info(
            f"{index}: images without annotations, which count as empty: {missing}."
        )


def _add_negatives(split: Dataset, paths: list[str], index: Path, assets: Path) -> None:
    """Adds the images that no COCO file knows: there is nothing in them.

    Raises:
        Failure: It knows none of them at all.
    """
    if not split.images:
        raise Failure(
            Code.DATA,
            f"The annotations named in {index} know none of its images, such as {paths[0]}.",
            f"File names in the COCO file are relative to {assets}.",
        )
    for path in paths:
        width, height = image_size(Path(path))
        name = _name_beside(path, assets)
        split.images.append(Image(len(split.images) + 1, name, width, height))
    if paths:
        logger.info(
            f"{index}: images that are not in the annotations, and count as empty: {len(paths)}."
        )


def _name_beside(path: str, assets: Path) -> str:
    """How our COCO file calls an image: below the link to the folder of images.

    Raises:
        Failure: The image lies elsewhere.
    """
    try:
        return f"{ASSETS}/{Path(os.path.normpath(path)).relative_to(assets)}"
    except ValueError:
        raise Failure(
            Code.DATA, f"The image {path} is not in the folder {assets}."
        ) from None


def _require_some_class(annotated: Dataset, class_names: list[str]) -> None:
    """Checks that a COCO file knows a class that is to be learnt.

    Raises:
        Failure: It knows none.
    """
    known = annotated.class_names
    if not {*known} & {*class_names}:
        raise Failure(
            Code.DATA,
            f"{annotated.file} has the classes {', '.join(known) or '(none)'}, and none of those to learn:"
            f" {', '.join(class_names)}.",
            "Class names must be the same to the letter.",
        )
