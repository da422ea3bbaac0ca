"""The annotations of a training: each file is read once, checked, and written as MMDetection needs it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import UNSET

from cvtk import data
from cvtk.data import checks
from cvtk.data.coco import to_dict
from cvtk.data.grouping import note_alike
from cvtk.data.images import resolve
from cvtk.data.reading import TOO_DARK, Reading
from cvtk.engine.poses import check_poses, takes_poses
from cvtk.engine.spec import ModelSpec
from cvtk.io import atomic_write
from cvtk.log import logger
from cvtk.options import TrainOptions
from cvtk.recipe.data import (
    complete_annotations,
    dataset_of,
    has_rle,
    match_classes,
)


@dataclass(frozen=True)
class SetFacts:
    """What the run card says of a set.

    Attributes:
        file: The annotations.
        image_files: The name of each image, and where it is.
        by_class: How many objects each class has, crowds not counted.
        crowds: How many crowds there are.
        notes: What was said of it before the training.
    """

    file: Path
    image_files: list[tuple[str, Path]]
    by_class: dict[str, int]
    crowds: int
    notes: list[str]


@dataclass
class TrainingData:
    """What is known of the sets of a training.

    Attributes:
        datasets: By "train", "valid" and "test", what MMDetection is told of each set.
        images: How many there are to learn from.
        rle: Whether any mask to learn from is run-length encoded.
        most_objects: By set, the image with the most objects, and how many it has.
        facts: By set, what the run card says of it.
        poses: The set to learn from, for an architecture that takes poses; else None.
        valid: The validation set as it was read, to choose the scores to cut at; None without one.
        test: The test set as it was read, for the evaluation at the end; None without one.
    """

    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: int = 0
    rle: bool = False
    most_objects: dict[str, tuple[str, int]] = field(default_factory=dict)
    facts: dict[str, SetFacts] = field(default_factory=dict)
    poses: dict[str, Any] | None = None
    valid: data.Dataset | None = None
    test: data.Dataset | None = None


def prepare_data(
    spec: ModelSpec,
    options: TrainOptions,
    sets: Mapping[str, data.Dataset] | None = None,
) -> TrainingData:
    """Reads and checks the sets of a training, and writes them to its workspace.

    With `print_config` nothing is written.

    Args:
        spec: The architecture and its classes.
        options: The user's choices.
        sets: The sets, where they are not to be read: parts of the files, in cross-validation.

    Raises:
        FileError: A file or an image is missing.
        DataError: Annotations or images cannot be used; the message names the item.
    """
    found = TrainingData()
    with_poses = takes_poses(spec)
    reading = Reading(options.intensity).with_choices(options.page, options.channels)
    for split, file in options.annotation_files.items():
        dataset = data.read(file) if sets is None else sets[split]
        train = split == "train"
        notes = checks.require_trainable(dataset, spec.classes, spec.task, train=train)
        facts = checks.require_images(dataset, reading)
        if not train:
            note_alike(dataset, facts)
        dark = [image for image in facts if image.dark]
        if dark and options.intensity == "depth":
            logger.warning(f"{dark[0].path} {TOO_DARK}")
        ids = align_categories(dataset, spec.classes)
        coco = to_dict(dataset)
        complete_annotations(coco)
        if with_poses:
            found.poses = found.poses or coco
            notes += check_poses(coco, found.poses, spec.classes, file)
        used = options.workspace / f"used_{split}.json"
        for note in notes:
            logger.info(note)
        folder = str(file.resolve().parent)
        found.datasets[split] = dataset_of(str(used), folder, spec.classes, ids)
        if not options.print_config:
            write_json(coco, used)
        found.facts[split] = facts_of(dataset, file, notes)
        found.most_objects[split] = image_with_most_objects(coco)
        if train:
            found.images = len(coco["images"])
            found.rle = has_rle(coco)
        if split == "valid":
            found.valid = dataset
        if split == "test":
            found.test = dataset
    return found


def facts_of(dataset: data.Dataset, file: Path, notes: Iterable[object]) -> SetFacts:
    """What the run card says of a set, which is all that is kept of that to learn from."""
    names = [image.file_name for image in dataset.images]
    counts = Counter(a.category_id for a in dataset.annotations if not a.is_crowd)
    return SetFacts(
        file=file,
        image_files=[(name, resolve(dataset.folder, name)) for name in names],
        by_class={c.name: counts[c.id] for c in dataset.categories},
        crowds=len(dataset.annotations) - counts.total(),
        notes=[str(note) for note in notes],
    )


def align_categories(dataset: data.Dataset, classes: list[str]) -> list[int]:
    """Gives a set the categories of the labels, in their order; returns their ids. Their keypoints stay."""
    coco = {
        "categories": [{"id": c.id, "name": c.name} for c in dataset.categories],
        "annotations": [{"category_id": a.category_id} for a in dataset.annotations],
    }
    ids = match_classes(coco, classes, str(dataset.file))
    known = {category.name: category for category in reversed(dataset.categories)}
    dataset.categories = [
        data.Category(id_, name, extra=known[name].extra if name in known else UNSET)
        for id_, name in zip(ids, classes, strict=True)
    ]
    return ids


def write_json(content: Any, file: Path) -> None:
    """Writes what only a machine reads."""
    with atomic_write(file, force=True) as part:
        part.write_text(json.dumps(content), encoding="utf-8")


def image_with_most_objects(coco: dict[str, Any]) -> tuple[str, int]:
    """The name of the image with the most objects, and how many it has."""
    counts = Counter(item["image_id"] for item in coco["annotations"])
    if not counts:
        return "", 0
    image_id, objects = counts.most_common(1)[0]
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    return names.get(image_id, ""), objects
