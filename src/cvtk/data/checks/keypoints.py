"""Checks of keypoints, where a set has any: as many as the class has names, inside the image, and counted right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.checks.chunk import describe
from cvtk.data.checks.problems import Problems
from cvtk.data.keypoints import field_of, keypoints_of, names_of
from cvtk.data.types import Annotation, Category, Dataset, Image

KIND = "keypoints"
REMEDY = "Mark its keypoints again."


def check_keypoints(dataset: Dataset, problems: Problems) -> None:
    """Checks the keypoints of a set: its classes' skeletons, and those of each object.

    Args:
        dataset: The set.
        problems: Gets what is found.
    """
    for category in dataset.categories:
        for text in _wrong_limbs(category):
            item = f"category {category.name}"
            remedy = "Correct the skeleton in the file."
            problems.add("warning", KIND, dataset.file, item, text, remedy)
    images = {image.id: image for image in dataset.images}
    counts = {category.id: len(names_of(category)) for category in dataset.categories}
    for annotation in dataset.annotations:
        if field_of(annotation, "keypoints") is None:
            continue
        image = images.get(annotation.image_id)
        expected = counts.get(annotation.category_id, 0)
        for text in _wrong_points(annotation, image, expected):
            item = describe(annotation, image)
            problems.add("warning", KIND, dataset.file, item, text, REMEDY)


def _wrong_limbs(category: Category) -> Iterator[str]:
    limbs = field_of(category, "skeleton")
    if limbs is None:
        return
    count = len(names_of(category))
    for limb in limbs if isinstance(limbs, list) else [limbs]:
        if not _joins_two_of(limb, count):
            yield f"its skeleton has {limb!r:.60}; a limb is a pair of numbers from 1 to {count}"


def _joins_two_of(limb: Any, count: int) -> bool:
    is_pair = isinstance(limb, list) and len(limb) == 2
    return is_pair and all(type(end) is int and 1 <= end <= count for end in limb)


def _wrong_points(
    annotation: Annotation, image: Image | None, expected: int
) -> Iterator[str]:
    """What is wrong with the keypoints of one object.

    Args:
        annotation: It has the field.
        image: Its image, if there is one.
        expected: How many keypoints its class names.
    """
    points = keypoints_of(annotation)
    if points is None:
        yield "its keypoints are not x, y and visibility for each"
        return
    if len(points) != expected:
        yield f"it has {len(points)} keypoints, and its class names {expected}"
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        yield "the visibility of a keypoint is not 0 (missing), 1 (hidden) or 2 (visible)"
    marked = points[points[:, 2] > 0]
    stated = field_of(annotation, "num_keypoints")
    if stated is not None and stated != len(marked):
        yield f"num_keypoints is {stated!r:.20}, and {len(marked)} are marked"
    outside = _outside(marked, image)
    if outside:
        yield f"{outside} of its keypoints lie outside the image"


def _outside(points: NDArray[np.float64], image: Image | None) -> int:
    """How many keypoints lie outside an image; 0 where its size is not known."""
    if image is None or image.size is None:
        return 0
    place = points[:, :2]
    return int(((place < 0) | (place > image.size)).any(axis=1).sum())
