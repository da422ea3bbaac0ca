"""The demo's data set: seeded, made-up, in COCO format.

It is also the fixture of the tests, so it holds what real annotations hold: polygons, masks in several parts,
masks with holes (RLE, both as numbers and compressed), a crowd, and an image without annotations.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from cvtk.data.contours import trace
from cvtk.data.images import write_image
from cvtk.demo.figures import KEYPOINTS, NAME, SKELETON, make_dancers
from cvtk.demo.scenes import CLASSES, make_scene
from cvtk.errors import FileError
from cvtk.io import encode_mask, read_text

SPLITS = ("train", "valid", "test")
PARTS = ("label.txt", *SPLITS)
"""The files and folders of a data set."""

_DESCRIPTION = "Made-up {}, drawn by cvtk demo"

Size: TypeAlias = tuple[int, int]
Seen: TypeAlias = tuple[NDArray[np.bool_], int, bool, dict[str, Any]]
"""An object of a picture: its mask (H, W), the id of its category, whether it is a crowd, and other fields."""


@dataclass(frozen=True)
class Subject:
    """What pictures show.

    Attributes:
        name: In words.
        categories: COCO's.
        draw: Draws a picture of a size, given its number, with objects or empty.
    """

    name: str
    categories: list[dict[str, Any]]
    draw: Callable[[np.random.Generator, Size, int, bool], tuple[Image, list[Seen]]]


def _fruit(
    rng: np.random.Generator, size: Size, number: int, empty: bool
) -> tuple[Image, list[Seen]]:
    fruit = 0 if empty else int(rng.integers(4, 9))
    photo, items = make_scene(rng, size, fruit=fruit, crowd=number == 1)
    found: list[Seen] = [
        (item.mask, CLASSES.index(item.name) + 1, item.crowd, {}) for item in items
    ]
    return photo, found


def _dancers(
    rng: np.random.Generator, size: Size, number: int, empty: bool
) -> tuple[Image, list[Seen]]:
    photo, dancers = make_dancers(rng, size, 0 if empty else int(rng.integers(2, 5)))
    found: list[Seen] = []
    for dancer in dancers:
        marked = int((dancer.keypoints[:, 2] > 0).sum())
        pose = {"keypoints": dancer.keypoints.ravel().tolist(), "num_keypoints": marked}
        found.append((dancer.mask, 1, False, pose))
    return photo, found


FRUIT = Subject(
    "fruit",
    [
        {"id": number, "name": class_name, "supercategory": "fruit"}
        for number, class_name in enumerate(CLASSES, 1)
    ],
    _fruit,
)
DANCERS = Subject(
    "dancers",
    [
        {
            **{"id": 1, "name": NAME, "supercategory": "person"},
            "keypoints": list(KEYPOINTS),
            "skeleton": [list(limb) for limb in SKELETON],
        }
    ],
    _dancers,
)


@dataclass(frozen=True)
class DemoFiles:
    """Where the parts of a demo data set lie."""

    folder: Path
    label: Path
    train: Path
    valid: Path
    test: Path


def annotation(
    mask: NDArray[np.bool_], category_id: int, *, crowd: bool, packed: bool
) -> dict[str, Any]:
    """One COCO annotation, without its ids of image and annotation.

    Args:
        mask: (H, W) bool, not empty.
        category_id: The class.
        crowd: Whether it stands for a group; written as uncompressed RLE, as COCO does.
        packed: Whether to write compressed RLE in place of polygons.
    """
    from pycocotools import mask as coco_mask

    rle = encode_mask(mask)
    outer, holes = trace(mask)
    segmentation: Any = outer
    if crowd:
        segmentation = {"size": list(mask.shape), "counts": _run_lengths(mask)}
    elif holes or packed:
        segmentation = rle
    return {
        "category_id": category_id,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": [float(v) for v in coco_mask.toBbox(rle)],
        "iscrowd": int(crowd),
    }


def _run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of 0 and 1 in turn, column by column, the first of 0: COCO's uncompressed RLE."""
    flat = mask.ravel(order="F")
    framed = np.concatenate([[False], flat, [not flat[-1]]])
    ends = np.flatnonzero(np.diff(framed))
    lengths: list[int] = np.diff(ends, prepend=0).tolist()
    return lengths


def _make_split(
    folder: Path, name: str, count: int, size: Size, seed: int, subject: Subject
) -> None:
    """Writes `name/segm.json` and `name/images/`: the first image may have a crowd, the last of many is empty."""
    (folder / name / "images").mkdir(parents=True)
    document: dict[str, Any] = {
        "info": {
            "description": f"{_DESCRIPTION.format(subject.name)} (seed {seed})",
            "version": "1",
        },
        "licenses": [],
        "categories": subject.categories,
        "images": [],
        "annotations": [],
    }
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, SPLITS.index(name), number])
        empty = count >= 3 and number == count
        photo, items = subject.draw(rng, size, number, empty)
        file_name = f"images/{name}_{number:03d}.jpg"
        write_image(photo, folder / name / file_name, quality=92)
        document["images"].append(
            {"id": number, "file_name": file_name, "width": size[0], "height": size[1]}
        )
        for mask, category_id, crowd, more in items:
            packed = rng.random() < 0.15
            made = annotation(mask, category_id, crowd=crowd, packed=packed)
            ids = {"id": len(document["annotations"]) + 1, "image_id": number}
            document["annotations"].append({**ids, **made, **more})
    (folder / name / "segm.json").write_text(json.dumps(document), encoding="utf-8")


def make_demo(
    folder: Path,
    *,
    images: tuple[int, int, int] = (60, 12, 12),
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    poses: bool = False,
    force: bool = False,
) -> DemoFiles:
    """Makes the demo data set: scenes of strawberries, blueberries and lemons, or of dancers, with their masks.

    The same arguments give the same files. Nothing appears in `folder` before all of it is made.

    Args:
        folder: Where `label.txt` and `train/`, `valid/`, `test/` go, each with `segm.json` and `images/`.
        images: How many images to make for training, validation and test.
        size: Width and height of the images in pixels.
        seed: Another seed gives other pictures.
        poses: Whether to draw dancers who overlap, with keypoints, in place of fruit.
        force: Whether to replace the data set of an earlier demo.

    Raises:
        FileError: Something of these names lies there already, or is not of a demo, or the folder cannot
            be written.
    """
    folder, subject = Path(folder), DANCERS if poses else FRUIT
    require_room(folder, PARTS, force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder) as temporary:
            made = Path(temporary)
            for name, count in zip(SPLITS, images, strict=True):
                _make_split(made, name, count, size, seed, subject)
            lines = [f"{category['name']}\n" for category in subject.categories]
            (made / "label.txt").write_text("".join(lines), encoding="utf-8")
            for name in PARTS:
                if (folder / name).is_dir():
                    shutil.rmtree(folder / name)
                (made / name).replace(folder / name)
    except OSError as error:
        raise FileError(
            f"{folder}: {error.strerror or error}.",
            "Choose a folder that can be written.",
        ) from error
    return DemoFiles(
        folder, folder / "label.txt", *(folder / name / "segm.json" for name in SPLITS)
    )


def require_room(folder: Path, names: Iterable[str], *, force: bool) -> None:
    """Makes sure that a demo may write these names in a folder.

    Args:
        folder: Where the demo goes.
        names: Files and folders to be written.
        force: Whether those of an earlier demo may be replaced; other data sets never are.

    Raises:
        FileError: One of them is there and may not be replaced.
    """
    present = [name for name in names if os.path.lexists(folder / name)]
    if present and not force:
        raise FileError(
            f"{folder} already holds {', '.join(present)}.",
            "Choose another folder, or use force=True to replace them.",
        )
    for name in present:
        if name in SPLITS and not _is_made_up(folder / name):
            raise FileError(
                f"{folder / name} is not of a demo, so it is not replaced.",
                "Choose another folder (--output).",
            )


def _is_made_up(split: Path) -> bool:
    """Whether a folder holds a part of a demo's data set, and is no link to one elsewhere."""
    try:
        description = json.loads(read_text(split / "segm.json"))["info"]["description"]
    except (FileError, ValueError, LookupError, TypeError):
        return False
    made_up = [_DESCRIPTION.format(subject.name) for subject in (FRUIT, DANCERS)]
    return str(description).startswith(tuple(made_up)) and not split.is_symlink()
