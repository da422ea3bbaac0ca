"""A COCO file of predictions, written while they come in: memory stays flat however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
