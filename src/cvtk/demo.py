"""The demo: a seeded, made-up data set in COCO format, and the main job run on it.

The data set is also the fixture of the tests, so it holds what real annotations hold: polygons, masks in
several parts, masks with holes (RLE, both as numbers and compressed), a crowd, and an image without
annotations.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import FileError
from cvtk.scenes import CLASSES, make_scene

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class DemoFiles:
    """Where the parts of a demo data set lie."""

    folder: Path
    label: Path
    train: Path
    valid: Path
    test: Path


def trace(mask: NDArray[np.bool_]) -> tuple[list[list[float]], bool]:
    """Outlines of a mask along the edges of its pixels.

    Args:
        mask: (H, W) bool.

    Returns:
        One polygon `[x1, y1, x2, y2, ...]` in pixels for each connected part, the pixel (0, 0) reaching from
        0 to 1, so that pycocotools gives the mask back; and whether there are holes, which polygons fill.
    """
    padded = np.pad(mask, 1)
    # Edges as start -> ends, the mask on their right hand (y grows downwards).
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (dy, dx), (y0, x0), (y1, x1) in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 1)),
        ((1, 0), (1, 1), (1, 0)),
        ((0, -1), (1, 0), (0, 0)),
    ):
        edge = padded & ~np.roll(padded, (-dy, -dx), axis=(0, 1))
        for y, x in np.argwhere(edge) - 1:
            after.setdefault((int(x) + x0, int(y) + y0), []).append((int(x) + x1, int(y) + y1))
    polygons, holes = [], False
    while after:
        start = here = next(iter(after))
        way = (0, 0)
        corners: list[tuple[int, int]] = []
        while True:
            ends = after[here]
            # Where two pixels touch at a corner, turning right keeps them apart.
            right = (here[0] - way[1], here[1] + way[0])
            there = right if len(ends) > 1 and right in ends else ends[0]
            ends.remove(there)
            if not ends:
                del after[here]
            step = (there[0] - here[0], there[1] - here[1])
            if step != way:
                corners.append(here)
            here, way = there, step
            if here == start:
                break
        x, y = np.array(corners).T
        if float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0:
            polygons.append([float(v) for corner in corners for v in corner])
        else:
            holes = True
    return polygons, holes


def annotation(mask: NDArray[np.bool_], category_id: int, *, crowd: bool, packed: bool) -> dict[str, Any]:
    """One COCO annotation, without its ids of image and annotation.

    Args:
        mask: (H, W) bool, not empty.
        category_id: The class.
        crowd: Whether it stands for a group; written as uncompressed RLE, as COCO does.
        packed: Whether to write compressed RLE in place of polygons.
    """
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    polygons, holes = trace(mask)
    segmentation: Any = polygons
    if crowd:
        flat = np.concatenate([[False], mask.ravel(order="F"), [not mask[-1, -1]]])
        turns = np.flatnonzero(np.diff(flat))
        segmentation = {"size": list(mask.shape), "counts": np.diff(turns, prepend=0).tolist()}
    elif holes or packed:
        segmentation = {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}
    return {
        "category_id": category_id,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": [float(v) for v in coco_mask.toBbox(rle)],
        "iscrowd": int(crowd),
    }


def _make_split(folder: Path, name: str, count: int, size: tuple[int, int], seed: int) -> None:
    """Writes `name/segm.json` and `name/images/`: the first image has a crowd, the last of many is empty."""
    (folder / name / "images").mkdir(parents=True)
    document: dict[str, Any] = {
        "info": {"description": f"Made-up fruit, drawn by cvtk demo (seed {seed})", "version": "1"},
        "licenses": [],
        "categories": [{"id": i, "name": c, "supercategory": "fruit"} for i, c in enumerate(CLASSES, 1)],
        "images": [],
        "annotations": [],
    }
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, SPLITS.index(name), number])
        empty = count >= 3 and number == count
        fruit = 0 if empty else int(rng.integers(4, 9))
        photo, items = make_scene(rng, size, fruit=fruit, crowd=number == 1)
        file_name = f"images/{name}_{number:03d}.jpg"
        photo.save(folder / name / file_name, quality=92)
        document["images"].append({"id": number, "file_name": file_name, "width": size[0], "height": size[1]})
        for item in items:
            category_id = CLASSES.index(item.name) + 1
            made = annotation(item.mask, category_id, crowd=item.crowd, packed=rng.random() < 0.15)
            document["annotations"].append(
                {"id": len(document["annotations"]) + 1, "image_id": number, **made}
            )
    (folder / name / "segm.json").write_text(json.dumps(document), encoding="utf-8")


def make_demo(
    folder: Path,
    *,
    images: tuple[int, int, int] = (60, 12, 12),
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    force: bool = False,
) -> DemoFiles:
    """Makes the demo data set: scenes of strawberries, blueberries and lemons with their masks.

    The same arguments give the same files. Nothing appears in `folder` before all of it is made.

    Args:
        folder: Where `label.txt` and `train/`, `valid/`, `test/` go, each with `segm.json` and `images/`.
        images: How many images to make for training, validation and test.
        size: Width and height of the images in pixels.
        seed: Another seed gives other pictures.
        force: Whether to replace a data set of these names that lies there already.

    Raises:
        FileError: Something of these names lies there already, or the folder cannot be written.
    """
    folder = Path(folder)
    names = ("label.txt", *SPLITS)
    present = [name for name in names if (folder / name).exists()]
    if present and not force:
        raise FileError(
            f"{folder} already holds {', '.join(present)}.", "Choose another folder, or add --force."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder) as temporary:
            made = Path(temporary)
            for name, count in zip(SPLITS, images, strict=True):
                _make_split(made, name, count, size, seed)
            (made / "label.txt").write_text("".join(f"{c}\n" for c in CLASSES), encoding="utf-8")
            for name in names:
                if (folder / name).is_dir():
                    shutil.rmtree(folder / name)
                (made / name).replace(folder / name)
    except OSError as error:
        raise FileError(
            f"{folder}: {error.strerror or error}.", "Choose a folder that can be written."
        ) from error
    return DemoFiles(folder, folder / "label.txt", *(folder / name / "segm.json" for name in SPLITS))
