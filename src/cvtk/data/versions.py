"""Compares two versions of annotations, such as predictions and what people made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvtk.data.changes import Change, Changes, Kind
from cvtk.data.convert import load
from cvtk.data.masks import to_rle
from cvtk.data.types import Annotation, Dataset, Id, Image
from cvtk.errors import DataError, OptionError

LEAST_IOU = 0.3
"""The least IoU of an object before and after: below it, one was removed and another added."""

SAME_IOU = 0.98
"""From this IoU on an outline counts as unchanged: writing and reading it moves its edge by up to a pixel."""

# An object without a partner that lies in a crowd of the other side, by this share, is neither added nor removed.
_IN_CROWD = 0.5


def diff(
    before: str | Path | Dataset,
    after: str | Path | Dataset,
    *,
    score: float = 0.0,
    least_iou: float = LEAST_IOU,
    same_iou: float = SAME_IOU,
) -> Changes:
    """Compares two versions of annotations, such as predictions and what people made of them.

    Objects of an image are matched one to one by the IoU of their masks (of their boxes, where one has no mask),
    those that overlap most first, whatever their classes; of equals, those of one class. Images are the same if
    they have the same name, or if the last part of their names is the same and occurs once.

    Args:
        before: A file or folder in any format that `cvtk data convert` reads, or a data set.
        after: The same.
        score: The lowest score of the predictions that count; annotations have none, and all count.
        least_iou: The least IoU of an object before and after, above 0.
        same_iou: From this IoU on an outline counts as unchanged.

    Raises:
        FileError: A file is missing.
        DataError: One cannot be read, they have no image in common, or an image has two sizes.
        OptionError: The limits do not fit.
    """
    if not 0 < least_iou <= same_iou <= 1:
        raise OptionError(
            f"The least IoU is {least_iou:g}, that of the same outline {same_iou:g}.",
            "0 < --iou <= --same <= 1.",
        )
    first, second = _read(before), _read(after)
    pairs, only_first, only_second = _pairs(first, second)
    if not pairs:
        raise DataError(
            f"{_name(before)} and {_name(after)} have no image in common.",
            "Their images must have the same names.",
        )
    changes = Changes(only_before=only_first, only_after=only_second)
    names = [{c.id: c.name for c in data.categories} for data in (first, second)]
    of_first, of_second = first.by_image(), second.by_image()
    for one, other in pairs:
        sides = (
            _Side(of_first[one.id], one, names[0], score),
            _Side(of_second[other.id], other, names[1], score),
        )
        if one.size and other.size and one.size != other.size:
            raise DataError(
                f"{other.file_name} has {one.size[0]} x {one.size[1]} pixels before, and "
                f"{other.size[0]} x {other.size[1]} after.",
                "Outlines can be compared on the same image alone.",
            )
        changes.images.append(other.file_name)
        _compare(*sides, changes, least_iou, same_iou)
    return changes


def _read(data: str | Path | Dataset) -> Dataset:
    return data if isinstance(data, Dataset) else load(data).dataset


def _name(data: str | Path | Dataset) -> str:
    return str(data.file or "A data set") if isinstance(data, Dataset) else str(data)


def _pairs(
    first: Dataset, second: Dataset
) -> tuple[list[tuple[Image, Image]], list[str], list[str]]:
    """The images that both have, and the names of those that only one has."""
    left = {image.file_name: image for image in first.images}
    right = {image.file_name: image for image in second.images}
    same = [(left.pop(name), right.pop(name)) for name in list(left) if name in right]
    # Tools put images into folders of their own.
    short, long = _by_last_part(left), _by_last_part(right)
    for name in [name for name in short if name in long]:
        pair = short[name], long[name]
        same.append(pair)
        del left[pair[0].file_name], right[pair[1].file_name]
    return same, list(left), list(right)


def _by_last_part(images: dict[str, Image]) -> dict[str, Image]:
    """Images by the last part of their names, where only one has it."""
    last = {name: name.replace("\\", "/").rsplit("/", 1)[-1] for name in images}
    counts = Counter(last.values())
    return {
        last[name]: image for name, image in images.items() if counts[last[name]] == 1
    }


class _Side:
    """The objects of an image on one side: those that are compared, and the crowds."""

    def __init__(
        self,
        annotations: list[Annotation],
        image: Image,
        names: dict[Id, str],
        score: float,
    ) -> None:
        counted = [a for a in annotations if a.score is None or a.score >= score]
        self.objects = [a for a in counted if not a.is_crowd]
        self.names = [names.get(a.category_id, "") for a in self.objects]
        self.masks = [_mask(a, image) for a in self.objects]
        crowds = [_mask(a, image) for a in counted if a.is_crowd]
        self.crowds = [mask for mask in crowds if mask is not None]
        self.boxes = np.array(
            [_box(a, m) for a, m in zip(self.objects, self.masks, strict=True)]
        ).reshape(-1, 4)

    def row(self, index: int, when: Literal["before", "after"]) -> dict[str, Any]:
        """What a `Change` tells of an object."""
        annotation = self.objects[index]
        row: dict[str, Any] = {
            f"{when}_class": self.names[index],
            f"{when}_id": annotation.id,
            "box": tuple(self.boxes[index].tolist()),
        }
        if when == "before" and annotation.score is not None:
            row["score"] = annotation.score
        return row

    def alone(self, matched: set[int], other: _Side, changes: Changes) -> list[int]:
        """The objects without a partner; those in a crowd of the other side are only counted."""
        left = [i for i in range(len(self.objects)) if i not in matched]
        hidden = self._in_crowd_of(other)
        changes.in_crowds += sum(bool(hidden[i]) for i in left)
        return [i for i in left if not hidden[i]]

    def _in_crowd_of(self, other: _Side) -> NDArray[np.bool_]:
        """(N,) which objects lie in a crowd of the other side for the most part."""
        from pycocotools import mask as api

        inside = np.zeros(len(self.objects), dtype=bool)
        masked = [i for i, mask in enumerate(self.masks) if mask is not None]
        if masked and other.crowds:
            masks, flags = [self.masks[i] for i in masked], [1] * len(other.crowds)
            shares = api.iou(masks, other.crowds, flags)
            inside[masked] = np.asarray(shares).max(axis=1) >= _IN_CROWD
        return inside


def _mask(annotation: Annotation, image: Image) -> dict[str, Any] | None:
    segmentation = annotation.segmentation
    if segmentation is None or image.size is None:
        return None
    try:
        return to_rle(segmentation, *image.size)
    except DataError as error:
        item = f"annotation {annotation.id!r} of {image.file_name}"
        raise DataError(f"{item}: {error.message}", error.remedy) from None


def _box(annotation: Annotation, mask: dict[str, Any] | None) -> list[float]:
    from pycocotools import mask as api

    if annotation.box is not None:
        return annotation.box
    return [0.0] * 4 if mask is None else [float(v) for v in api.toBbox(mask)]


def _compare(
    before: _Side, after: _Side, changes: Changes, least_iou: float, same_iou: float
) -> None:
    """Adds what became of the objects of an image, which is the last of `changes.images`."""
    image = changes.images[-1]
    changes.crowds += len(before.crowds) + len(after.crowds)
    pairs = sorted(_matches(before, after, least_iou))
    for i, j, iou in pairs:
        kind: Kind = "unchanged" if iou >= same_iou else "reshaped"
        if before.names[i] != after.names[j]:
            kind = "renamed"
        one, other = before.row(i, "before"), after.row(j, "after")
        changes.objects.append(Change(image, kind, iou=iou, **{**one, **other}))
    matched = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
    for i in before.alone(matched[0], after, changes):
        row = before.row(i, "before")
        changes.objects.append(Change(image, "removed", **row))
    for j in after.alone(matched[1], before, changes):
        row = after.row(j, "after")
        changes.objects.append(Change(image, "added", **row))


def _matches(
    before: _Side, after: _Side, least_iou: float
) -> Iterator[tuple[int, int, float]]:
    """Pairs of an object before and one after, with their IoU; none is in two pairs."""
    overlaps = _overlaps(before, after)
    first, second = np.nonzero(overlaps >= least_iou)
    iou = overlaps[first, second]
    same_class = np.array(
        [before.names[i] == after.names[j] for i, j in zip(first, second, strict=True)],
        dtype=bool,
    )
    used_first: set[int] = set()
    used_second: set[int] = set()
    # Rounded, so that equals are equal: a model may find one object as two classes.
    for k in np.lexsort((~same_class, -iou.round(6))).tolist():
        i, j = int(first[k]), int(second[k])
        if i not in used_first and j not in used_second:
            used_first.add(i)
            used_second.add(j)
            yield i, j, float(iou[k])


def _overlaps(before: _Side, after: _Side) -> NDArray[np.float64]:
    """(N, M) the IoU of each object before and each after: of masks, or of boxes where one has no mask."""
    from pycocotools import mask as api

    size = len(before.objects), len(after.objects)
    if 0 in size:
        return np.zeros(size)
    found = np.array(api.iou(before.boxes, after.boxes, [0] * size[1]))
    rows = [i for i, mask in enumerate(before.masks) if mask is not None]
    columns = [j for j, mask in enumerate(after.masks) if mask is not None]
    if rows and columns:
        masks = [before.masks[i] for i in rows], [after.masks[j] for j in columns]
        found[np.ix_(rows, columns)] = api.iou(*masks, [0] * len(columns))
    return found
