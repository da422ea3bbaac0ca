"""Keypoints of objects, as COCO has them (https://cocodataset.org/#format-data, "Keypoint Detection")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from cvtk.data.types import Annotation, Category
from cvtk.errors import DataError


def keypoints_of(annotation: Annotation) -> NDArray[np.float64] | None:
    """The keypoints of an object.

    Returns:
        (K, 3): x and y in pixels, and 0 (missing), 1 (occluded) or 2 (visible); None where there are none, or
        something else stands in their place.
    """
    values = field_of(annotation, "keypoints")
    if not isinstance(values, list) or not values or len(values) % 3:
        return None
    if not all(type(value) in (int, float) for value in values):
        return None
    points = np.array(values, dtype=np.float64).reshape(-1, 3)
    return points if np.isfinite(points).all() else None


def names_of(category: Category) -> list[str]:
    """The names of the keypoints of a class, in their order; empty where it has none."""
    names = field_of(category, "keypoints")
    return [str(name) for name in names] if isinstance(names, list) else []


def require_same_keypoints(one: Category, other: Category, file: Path | None) -> None:
    """Checks that a class has the same keypoints in two sets, since those of objects have no names of their own.

    Args:
        one: The class, as the sets before have it.
        other: The class of that name in the next set.
        file: The next set, for the message.

    Raises:
        DataError: It has others, or in another order.
    """
    known, found = names_of(one), names_of(other)
    if known != found:
        raise DataError(
            f"{file}: {other.name} has the keypoints {', '.join(found) or '(none)'}, and in another set"
            f" {', '.join(known) or '(none)'}.",
            "Rename the class in one of them, or give both the same keypoints in the same order.",
        )


def limbs_of(category: Category) -> list[tuple[int, int]]:
    """The limbs of a class, each as the indices of two keypoints, from 0 (COCO counts from 1).

    Returns:
        Empty where the class has no skeleton, or something else stands in its place.
    """
    pairs = field_of(category, "skeleton")
    if not isinstance(pairs, list):
        return []
    return [(pair[0] - 1, pair[1] - 1) for pair in pairs if _is_limb(pair)]


def _is_limb(pair: Any) -> bool:
    is_pair = isinstance(pair, list) and len(pair) == 2
    return is_pair and all(type(number) is int and number > 0 for number in pair)


def field_of(item: Annotation | Category, name: str) -> Any:
    """A field that our types do not know, such as `keypoints`; None where there is none."""
    if item.extra is UNSET or name not in item.extra:
        return None
    return msgspec.json.decode(item.extra[name])
