"""Data sets that are drawn, for `accuracy.py`: fruit and dancers as `cvtk demo` draws them, and cells that overlap."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from cvtk.demo import make_demo
from cvtk.demo.dataset import annotation

IMAGES = (60, 12, 60)  # to learn from, to choose the epoch, to test
SIZE = 160  # pixels; the height of the images, and their --image_size
SEEDS = {"train": 5, "valid": 6, "test": 4}  # of the cells
RARE_IMAGES = 6  # of those to learn from, where a category is rare


def fruit(folder: Path) -> None:
    make_demo(folder, images=IMAGES, size=(213, SIZE), seed=7)


def rare_fruit(folder: Path) -> None:
    """The same, but few images to learn from have lemons: most that have are left out."""
    pool = (520, *IMAGES[1:])
    make_demo(folder, images=pool, size=(213, SIZE), seed=7)
    file = folder / "train" / "segm.json"
    document = json.loads(file.read_text())
    (lemon,) = (c["id"] for c in document["categories"] if c["name"] == "lemon")
    with_lemons = {
        a["image_id"] for a in document["annotations"] if a["category_id"] == lemon
    }
    images = document["images"]
    rare = [image for image in images if image["id"] in with_lemons]
    others = [image for image in images if image["id"] not in with_lemons]
    kept = rare[:RARE_IMAGES] + others[: IMAGES[0] - RARE_IMAGES]
    ids = {image["id"] for image in kept}
    assert len(ids) == IMAGES[0], "more images are needed to choose from"
    annotations = [a for a in document["annotations"] if a["image_id"] in ids]
    document.update(images=kept, annotations=annotations)
    file.write_text(json.dumps(document))


def dancers(folder: Path) -> None:
    make_demo(folder, images=IMAGES, size=(213, SIZE), seed=7, poses=True)


def cells(folder: Path) -> None:
    """Round and long cells on a grey ground, which lie on each other."""
    cells_in(folder, dict.fromkeys(SEEDS, 1.0))


def rare_cells(folder: Path) -> None:
    """The same, but few images to learn from have long cells."""
    share = RARE_IMAGES / IMAGES[0]
    cells_in(folder, {"train": share, "valid": 0.5, "test": 0.5})


def cells_in(folder: Path, with_long: Mapping[str, float]) -> None:
    """Cells, with the share of the images of each split that have long ones among them."""
    for split, count in zip(with_long, IMAGES, strict=True):
        document: dict[str, Any] = {"images": [], "annotations": []}
        document["categories"] = [{"id": 1, "name": "round"}, {"id": 2, "name": "long"}]
        (folder / split).mkdir(parents=True)
        for number in range(1, count + 1):
            rng = np.random.default_rng([7, SEEDS[split], number])
            photo, owner, kinds = draw_cells(
                rng, SIZE, long=number <= with_long[split] * count
            )
            name = f"{number:03d}.png"
            photo.save(folder / split / name)
            image = {"id": number, "file_name": name, "width": SIZE, "height": SIZE}
            document["images"].append(image)
            for index, kind in enumerate(kinds, 1):
                mask = owner == index
                if mask.sum() < 20:
                    continue
                made = annotation(mask, kind, crowd=False, packed=True)
                ids = {"id": len(document["annotations"]) + 1, "image_id": number}
                document["annotations"].append({**ids, **made})
        (folder / split / "segm.json").write_text(json.dumps(document))
    (folder / "label.txt").write_text("round\nlong\n")


def draw_cells(
    rng: np.random.Generator, size: int, long: bool
) -> tuple[Image.Image, NDArray[np.uint8], list[int]]:
    """A picture, the number of the cell that each pixel shows (0: none), and the class of each cell."""
    ground = np.linspace(*rng.uniform(60, 140, 2), size)
    pixels = np.tile(ground, (size, 1)) + rng.normal(0, 4, (size, size))
    owner = Image.new("L", (size, size))
    kinds = []
    for number in range(1, int(rng.integers(8, 26)) + 1):
        kind = int(rng.integers(1, 3 if long else 2))
        length, width = rng.uniform(6, 13) * np.array([[1, 0.9], [1.9, 0.55]][kind - 1])
        turn, angles = rng.uniform(0, np.pi), np.linspace(0, 2 * np.pi, 40)[:-1]
        wobble = 1 + 0.08 * np.sin(3 * angles + rng.uniform(0, 6.3))
        x, y = length * np.cos(angles) * wobble, width * np.sin(angles) * wobble
        middle = rng.uniform(0, size, 2)
        outline = [
            (middle[0] + a * np.cos(turn) - b * np.sin(turn), middle[1] + a * np.sin(turn) + b * np.cos(turn))
            for a, b in zip(x, y, strict=True)
        ]  # fmt: skip
        shape = Image.new("L", (size, size))
        ImageDraw.Draw(shape).polygon(outline, fill=255)
        inside = np.asarray(shape) > 0
        rim = inside & ~(np.asarray(shape.filter(ImageFilter.MinFilter(3))) > 0)
        shade = rng.uniform(20, 50)
        pixels[inside] += shade * 0.5 + rng.normal(0, 5, int(inside.sum()))
        pixels[rim] += shade
        owner.paste(number, mask=Image.fromarray(inside))
        kinds.append(kind)
    photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.8)
    )
    return photo.convert("RGB"), np.asarray(owner), kinds


SETS: dict[str, Callable[[Path], None]] = {
    "cells": cells,
    "rare cells": rare_cells,
    "fruit": fruit,
    "rare fruit": rare_fruit,
    "dancers": dancers,
}
