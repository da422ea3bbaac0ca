"""Many predictions: COCO files that are written while they come in, and a list that takes little memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cvtk.io import atomic_write

Found: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image as COCO has it, and what was found in it: annotations whose ids do not matter."""


def categories_of(
    classes: Sequence[str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The classes of a model as COCO's categories."""
    return [
        {"id": int(i), "name": name, "supercategory": ""}
        for name, i in zip(classes, category_ids, strict=True)
    ]


def write_predictions(
    path: Path,
    categories: Sequence[dict[str, Any]],
    found: Iterable[Found],
    *,
    force: bool = False,
) -> int:
    """Writes a COCO file, whose annotations are numbered from 1.

    Args:
        path: The JSON file; it appears when it is complete.
        categories: COCO's.
        found: One per image; a generator is read once.
        force: Whether to replace a file that lies there.

    Returns:
        How many objects were written.

    Raises:
        FileError: The file exists or cannot be written.
    """
    images: list[str] = []
    count = 0
    with (
        atomic_write(path, force=force) as part,
        part.open("w", encoding="utf-8") as file,
    ):
        file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        for image, annotations in found:
            images.append(json.dumps(image))
            for annotation in annotations:
                separator = ",\n" if count else "\n"
                count += 1
                file.write(separator + json.dumps({**annotation, "id": count}))
        file.write('\n],\n"images": [\n' + ",\n".join(images) + "\n]}\n")
    return count


class Predictions(Sequence[dict[str, Any]]):
    """Predictions in COCO's results format, packed: each becomes a dictionary when it is asked for.

    A million dictionaries take a gigabyte, and this a quarter of it (benchmarks/report.py).
    """

    def __init__(self) -> None:
        self._image_ids: list[int | str] = []
        self._category_ids = array("q")
        self._numbers = array("d")  # x, y, width, height, area and score of each
        self._sizes: list[list[int]] = []  # of the masks; none of a detector
        self._counts: list[str] = []

    def __len__(self) -> int:
        return len(self._image_ids)

    def __getitem__(self, index: Any) -> Any:
        """A prediction, as `Result.to_coco` gave it, with an `id` that counts from 1."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        *bbox, area, score = self._numbers[6 * number : 6 * number + 6]
        mask = {}
        if self._counts:
            rle = {"size": self._sizes[number], "counts": self._counts[number]}
            mask["segmentation"] = rle
        return {
            "id": number + 1,
            "image_id": self._image_ids[number],
            "category_id": self._category_ids[number],
            "bbox": bbox,
            **mask,
            "area": area,
            "iscrowd": 0,
            "score": score,
        }

    def extend(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Adds predictions, as `Result.to_coco` gives them: all of them with masks, or none."""
        for prediction in found:
            self._image_ids.append(prediction["image_id"])
            self._category_ids.append(prediction["category_id"])
            numbers = (*prediction["bbox"], prediction["area"], prediction["score"])
            self._numbers.extend(numbers)
            if "segmentation" in prediction:
                mask = prediction["segmentation"]
                size = list(mask["size"])
                # Those of an image are the same, and need to be there once.
                is_new = not self._sizes or self._sizes[-1] != size
                self._sizes.append(size if is_new else self._sizes[-1])
                self._counts.append(mask["counts"])


def write_results(
    path: Path, predictions: Iterable[Mapping[str, Any]], *, force: bool = False
) -> None:
    """Writes predictions as COCO's results format has them: a list.

    Raises:
        FileError: The file exists or cannot be written.
    """
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with (
        atomic_write(path, force=force) as part,
        part.open("w", encoding="utf-8") as file,
    ):
        file.write("[")
        for number, prediction in enumerate(predictions):
            file.write((", " if number else "") + encode(prediction))
        file.write("]")
