"""Poses in COCO files, and what the configuration must know of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from .templates import cluster, in_unit_square, mirrored_pairs

Coco: TypeAlias = dict[str, Any]
Node: TypeAlias = dict[str, Any]


class PoseError(ValueError):
    """Poses that cannot be used; the message tells it to the user."""


def pose_of(annotation: Node) -> Node:
    """The pose of an object: `keypoints`, a list of K [x, y, visibility] or None, and its `score`, 1 where none is told."""
    values = annotation.get("keypoints")
    values = values if isinstance(values, list) else []
    points = [list(values[start : start + 3]) for start in range(0, len(values), 3)]
    score = annotation.get("score")
    known = isinstance(score, (int, float))
    return {"keypoints": points or None, "score": score if known else 1.0}


def describe_keypoints(coco: Coco, classes: Sequence[str], file: object) -> Node:
    """The keypoints that all classes have: their names, limbs and pairs.

    Args:
        coco: The content of a COCO file.
        classes: The class names.
        file: Its name, for messages.

    Returns:
        `keypoints` (names), `limbs` and `pairs` (both of indices from 0).

    Raises:
        PoseError: A class has none, or classes differ.
    """
    categories = {category["name"]: category for category in coco["categories"]}
    first = categories.get(classes[0], {})
    names = names_of(first)
    for name in classes:
        others = names_of(categories.get(name, {}))
        if not others:
            raise PoseError(f"{file}: the class {name!r} has no keypoints")
        if others != names:
            raise PoseError(
                f"{file}: the classes {classes[0]!r} {_some(names)} and {name!r} {_some(others)} have different"
                " keypoints; train a model for each"
            )
    skeleton = first.get("skeleton")
    joined = skeleton if isinstance(skeleton, list) else []
    limbs = [[a - 1 for a in limb] for limb in joined if _is_limb(limb, len(names))]
    return {"keypoints": names, "limbs": limbs, "pairs": mirrored_pairs(names)}


def require_poses(
    coco: Coco, classes: Sequence[str], keypoints: Sequence[str], file: object
) -> int:
    """Checks that objects have poses with these keypoints.

    Args:
        coco: The content of a COCO file.
        classes: The class names.
        keypoints: The names of the keypoints.
        file: Its name, for messages.

    Returns:
        How many objects have a pose.

    Raises:
        PoseError: None has, or they are others.
    """
    used = {c["id"]: c["name"] for c in coco["categories"] if c["name"] in classes}
    for category in coco["categories"]:
        names = names_of(category) or list(keypoints)
        if category["name"] in classes and names != list(keypoints):
            raise PoseError(
                f"{file}: the class {category['name']!r} has the keypoints {_some(names)}, not {_some(keypoints)}"
            )
    marked = 0
    for annotation in coco["annotations"]:
        points = pose_of(annotation)["keypoints"]
        if points is None or annotation["category_id"] not in used:
            continue
        if not _is_pose(points, len(keypoints)):
            raise PoseError(
                f"{file}: annotation {annotation.get('id')}: its keypoints are not {len(keypoints)} of x, y and"
                " visibility"
            )
        marked += any(point[2] > 0 for point in points)
    if not marked:
        raise PoseError(f"{file}: no object of {_some(classes)} has keypoints")
    return marked


def fit_poses(cfg: Node, coco: Coco, classes: Sequence[str], file: object) -> None:
    """Fits a configuration to the poses of a training set: keypoints, limbs, and templates clustered from it.

    Args:
        cfg: The complete configuration; changed in place.
        coco: The training set, with the box of every object.
        classes: The class names.
        file: The name of the set, for messages.

    Raises:
        PoseError: It has no poses, or classes with different ones.
    """
    model = cfg["model"]
    known = describe_keypoints(coco, classes, file)
    names, pairs = known["keypoints"], known["pairs"]
    require_poses(coco, classes, names, file)
    poses = [
        in_unit_square(np.array(points, float), annotation["bbox"])
        for annotation in coco["annotations"]
        for points in [pose_of(annotation)["keypoints"]]
        if points and max(annotation["bbox"][2:]) > 0
    ]
    found = cluster(poses, pairs, model["train_cfg"]["templates"])
    model.update(known, templates=[template.tolist() for template in found])
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for part in _dicts(cfg.get(loader)):
            if part.get("type") == "CocoDataset":
                part["type"] = "PoseDataset"
            elif part.get("type") == "LoadPoses":
                part["count"] = len(names)
            elif part.get("type") == "PackPoses":
                part["pairs"] = pairs


def instances_by_image(coco: Coco, classes: Sequence[str]) -> dict[Any, list[Node]]:
    """The poses of each image, as `PoseDataset` gives instances; crowds and other classes are left out."""
    labels = {c["id"]: c["name"] for c in coco["categories"]}
    found: dict[Any, list[Node]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        name, pose = str(labels.get(annotation["category_id"])), pose_of(annotation)
        if name in classes and pose["keypoints"] and not annotation.get("iscrowd"):
            label = list(classes).index(name)
            instance = {**pose, "bbox_label": label, "ignore_flag": 0}
            found.setdefault(annotation["image_id"], []).append(instance)
    return found


def read_poses(
    coco: Coco, classes: Sequence[str], keypoints: Sequence[str], file: object
) -> dict[Any, list[Node]]:
    """The poses of each image, by its id; see `instances_by_image`. Takes and raises what `require_poses` does."""
    require_poses(coco, classes, keypoints, file)
    return instances_by_image(coco, classes)


def names_of(category: Node) -> list[str]:
    """The names of the keypoints of a class; empty where it has none."""
    names = category.get("keypoints")
    return [str(name) for name in names] if isinstance(names, list) else []


def _is_limb(limb: Any, count: int) -> bool:
    """Whether something is a pair of numbers of keypoints, from 1."""
    is_pair = isinstance(limb, list) and len(limb) == 2
    return is_pair and all(type(end) is int and 1 <= end <= count for end in limb)


def _is_pose(points: Any, count: int) -> bool:
    """Whether something is `count` finite x, y and visibility."""
    try:
        flat = [float(value) for point in points for value in point]
    except (TypeError, ValueError):
        return False
    whole = len(points) == count and len(flat) == 3 * count
    return whole and all(map(math.isfinite, flat))


def _dicts(node: Any) -> Iterator[Node]:
    """Every dict in a part of a configuration."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _dicts(child)


def _some(names: Sequence[str]) -> str:
    """Names, or the first of many."""
    shown = ", ".join(map(str, names[:4]))
    return f"({shown}, ... {len(names)} in all)" if len(names) > 4 else f"({shown})"
