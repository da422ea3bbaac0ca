"""The demo: a seeded, made-up data set in COCO format, and the main job run on it.

The data set is also the fixture of the tests, so it holds what real annotations hold: polygons, masks in
several parts, masks with holes (RLE, both as numbers and compressed), a crowd, and an image without
annotations.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk.data.contours import trace
from cvtk.errors import CvtkError, FileError, InstallError
from cvtk.files import written_whole
from cvtk.scenes import CLASSES, make_scene

SPLITS = ("train", "valid", "test")

# What five minutes on two cores allow, and what it takes to learn three kinds of fruit from nothing.
MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"
EPOCHS = 36
IMAGE_SIZE = 192


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

    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    outer, holes = trace(mask)
    segmentation: Any = outer
    if crowd:
        flat = np.concatenate([[False], mask.ravel(order="F"), [not mask[-1, -1]]])
        turns = np.flatnonzero(np.diff(flat))
        segmentation = {
            "size": list(mask.shape),
            "counts": np.diff(turns, prepend=0).tolist(),
        }
    elif holes or packed:
        segmentation = {
            "size": list(mask.shape),
            "counts": rle["counts"].decode("ascii"),
        }
    return {
        "category_id": category_id,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": [float(v) for v in coco_mask.toBbox(rle)],
        "iscrowd": int(crowd),
    }


def _make_split(
    folder: Path, name: str, count: int, size: tuple[int, int], seed: int
) -> None:
    """Writes `name/segm.json` and `name/images/`: the first image has a crowd, the last of many is empty."""
    (folder / name / "images").mkdir(parents=True)
    document: dict[str, Any] = {
        "info": {
            "description": f"Made-up fruit, drawn by cvtk demo (seed {seed})",
            "version": "1",
        },
        "licenses": [],
        "categories": [
            {"id": i, "name": c, "supercategory": "fruit"}
            for i, c in enumerate(CLASSES, 1)
        ],
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
        document["images"].append(
            {"id": number, "file_name": file_name, "width": size[0], "height": size[1]}
        )
        for item in items:
            category_id = CLASSES.index(item.name) + 1
            made = annotation(
                item.mask, category_id, crowd=item.crowd, packed=rng.random() < 0.15
            )
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
            f"{folder} already holds {', '.join(present)}.",
            "Choose another folder, or add --force.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder) as temporary:
            made = Path(temporary)
            for name, count in zip(SPLITS, images, strict=True):
                _make_split(made, name, count, size, seed)
            (made / "label.txt").write_text(
                "".join(f"{c}\n" for c in CLASSES), encoding="utf-8"
            )
            for name in names:
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


def run_demo(
    folder: Path,
    *,
    images: tuple[int, int, int] = (60, 12, 12),
    epochs: int = EPOCHS,
    image_size: int = IMAGE_SIZE,
    seed: int = 0,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Makes the data set, creates a script, and runs it: train, evaluate, inference.

    Every command is shown before it runs, so that it can be copied for images of one's own.

    Args:
        folder: Where everything goes.
        images: How many images to make for training, validation and test.
        epochs: How often the training sees each image.
        image_size: Longer side of the images that the model sees, in pixels.
        seed: Of the data set and of the training.
        force: Whether to replace what an earlier demo left in `folder`.
        say: Takes each line for the user.

    Returns:
        The masks' test statistics, by the names in `test_stats.json`.

    Raises:
        FileError: The folder holds something already.
        InstallError: MMDetection is not installed.
        CvtkError: One of the commands failed.
    """
    start = time.monotonic()
    folder = Path(folder)
    script, outputs = folder / "segm.py", folder / "outputs"
    present = [
        name
        for name in ("label.txt", *SPLITS, "segm.py", "outputs")
        if (folder / name).exists()
    ]
    if present and not force:
        raise FileError(
            f"{folder} already holds {', '.join(present)}.",
            "Choose another --output, or add --force.",
        )
    if (
        importlib.util.find_spec("mmdet") is None
        or importlib.util.find_spec("torch") is None
    ):
        raise InstallError(
            "Training needs MMDetection.", 'Install it with: pip install "cvtk[mmdet]"'
        )
    from cvtk.scaffold import create_script

    say(f"1/5  Drawing {sum(images)} pictures of {', '.join(CLASSES)} in {folder}")
    files = make_demo(folder, images=images, seed=seed, force=force)
    shutil.rmtree(outputs, ignore_errors=True)
    say("\n2/5  Writing a script")
    say(
        f"$ cvtk create --script {shlex.quote(str(script))} --task segm --model {MODEL}"
    )
    create_script(script, task="segm", model=MODEL, force=force)
    say(f"\n3/5  Training it from scratch, {epochs} epochs")
    _run(
        script,
        "train --label label.txt --train train/segm.json --valid valid/segm.json --weights none"
        f" --epoch {epochs} --batch_size 4 --image_size {image_size} --seed {seed}"
        " --output_weights outputs/fruit.pth",
        say,
    )
    model = "--label label.txt --model_weights outputs/fruit.pth"
    say("\n4/5  Evaluating it on pictures that it has not seen")
    _run(script, f"evaluate {model} --data test/segm.json --output outputs/test", say)
    say("\n5/5  Finding fruit in them")
    _run(script, f"inference {model} --data test/images --output outputs/pictures", say)

    statistics = outputs / "test" / "test_stats.json"
    stats: dict[str, float] = json.loads(statistics.read_text(encoding="utf-8"))[
        "stats"
    ]
    sheet = contact_sheet(
        sorted((outputs / "pictures").glob("*.jpg"))[1:7], outputs / "pictures.png"
    )
    test = json.loads(files.test.read_text(encoding="utf-8"))
    fruit = sum(not a["iscrowd"] for a in test["annotations"])
    say(
        f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes. On {len(test['images'])} test images with"
        f" {fruit} fruit:\n  mask AP50 {stats['AP@[0.50|all|1000]']:.3f}"
        f"\n  mask mAP  {stats['AP@[0.50:0.95|all|100]']:.3f}"
        "\nLook at"
        f"\n  {sheet}  (what was found)"
        f"\n  {outputs / 'fruit.train_stats.train.png'}  (how the losses fell)"
        f"\n  {script}  (the script: yours to change, and to run on your own images)"
    )
    return stats


def _run(script: Path, arguments: str, say: Callable[[str], None]) -> None:
    """Shows a command of the script, and runs it in the script's folder."""
    say(f"$ python {script.name} {arguments}")
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, script.name, *shlex.split(arguments)], cwd=script.parent
    )
    if done.returncode != 0:
        name = f"python {script.name} {shlex.split(arguments)[0]}"
        raise CvtkError(
            f"'{name}' ended with exit code {done.returncode}; what it said stands above.",
            "See what works here with: cvtk doctor",
        )


def contact_sheet(pictures: list[Path], target: Path, columns: int = 3) -> Path:
    """Pastes pictures of one size into a single one, row by row.

    Args:
        pictures: The image files, at least one.
        target: The file to write.
        columns: The most that go into a row.
    """
    images = [Image.open(path).convert("RGB") for path in pictures]
    width, height = images[0].size
    gap = 6
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new(
        "RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white"
    )
    for index, image in enumerate(images):
        sheet.paste(
            image, (index % columns * (width + gap), index // columns * (height + gap))
        )
    with written_whole(target, force=True) as part:
        sheet.save(part)
    return target
