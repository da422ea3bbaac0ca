"""The main job on the demo's data set: create a script, train, evaluate, find."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from cvtk.data.images import write_image
from cvtk.demo.dataset import PARTS, DemoFiles, make_demo, require_room
from cvtk.demo.scenes import CLASSES
from cvtk.errors import CvtkError, InstallError

# What five minutes on two cores allow, and what it takes to learn three kinds of fruit from nothing.
MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"
EPOCHS = 36
IMAGE_SIZE = 192


def run_demo(
    folder: Path,
    *,
    images: tuple[int, int, int] = (60, 12, 12),
    epochs: int = EPOCHS,
    image_size: int = IMAGE_SIZE,
    seed: int = 0,
    force: bool = False,
    show: Callable[[str], None] = print,
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
        show: Takes each line for the user.

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
    require_room(folder, (*PARTS, script.name, outputs.name), force=force)
    if not all(importlib.util.find_spec(name) for name in ("mmdet", "torch")):
        raise InstallError(
            "Training needs MMDetection.", 'Install it with: pip install "cvtk[mmdet]"'
        )
    show(f"1/5  Drawing {sum(images)} pictures of {', '.join(CLASSES)} in {folder}")
    files = make_demo(folder, images=images, seed=seed, force=force)
    _create(script, force, show)
    commands = _commands(epochs, image_size, seed, force)
    for number, (title, arguments) in enumerate(commands, 3):
        show(f"\n{number}/5  {title}")
        run_script(script, arguments, show)

    # The first picture is the one with the crowd, which is not typical.
    found = sorted((outputs / "pictures").glob("*.jpg"))[1:7]
    contact_sheet(found, outputs / "pictures.png")
    statistics = json.loads((outputs / "test" / "test_stats.json").read_text("utf-8"))
    stats: dict[str, float] = statistics["stats"]
    minutes = (time.monotonic() - start) / 60
    show(f"\nDone in {minutes:.1f} minutes. {_summary(files, stats, outputs, script)}")
    return stats


def _create(script: Path, force: bool, show: Callable[[str], None]) -> None:
    """Writes the script, as the command shown would."""
    from cvtk.scripts.create import create_script

    name = shlex.quote(str(script))
    show("\n2/5  Writing a script")
    show(f"$ cvtk create --script {name} --task segm --model {MODEL}")
    create_script(script, task="segm", model=MODEL, force=force)


def _commands(
    epochs: int, image_size: int, seed: int, force: bool
) -> list[tuple[str, str]]:
    """A title and the arguments of the script, for each step."""
    model = "--label label.txt --model_weights outputs/fruit.pth"
    steps = [
        (
            f"Training it from scratch, {epochs} epochs",
            "train --label label.txt --train train/segm.json --valid valid/segm.json --weights none"
            f" --epoch {epochs} --batch_size 4 --image_size {image_size} --seed {seed}"
            " --output_weights outputs/fruit.pth",
        ),
        (
            "Evaluating it on pictures that it has not seen",
            f"evaluate {model} --data test/segm.json --output outputs/test",
        ),
        (
            "Finding fruit in them",
            f"inference {model} --data test/images --output outputs/pictures",
        ),
    ]
    replace = " --force" if force else ""
    return [(title, arguments + replace) for title, arguments in steps]


def run_script(script: Path, arguments: str, show: Callable[[str], None]) -> None:
    """Shows a command of the script, and runs it in the script's folder.

    Raises:
        CvtkError: It ended with another exit code than 0.
    """
    show(f"$ python {script.name} {arguments}")
    sys.stdout.flush()  # so that what the script prints comes after
    words = shlex.split(arguments)
    done = subprocess.run([sys.executable, script.name, *words], cwd=script.parent)
    if done.returncode != 0:
        raise CvtkError(
            f"'python {script.name} {words[0]}' ended with exit code {done.returncode};"
            " what it said stands above.",
            "See what works here with: cvtk doctor",
        )


def _summary(
    files: DemoFiles, stats: dict[str, float], outputs: Path, script: Path
) -> str:
    """The metrics in words, and where to look."""
    test: dict[str, Any] = json.loads(files.test.read_text(encoding="utf-8"))
    fruit = sum(not annotation["iscrowd"] for annotation in test["annotations"])
    return (
        f"On {len(test['images'])} test images with {fruit} fruit:"
        f"\n  mask AP50 {stats['AP@[0.50|all|1000]']:.3f}"
        f"\n  mask AP   {stats['AP@[0.50:0.95|all|100]']:.3f}"
        "\nLook at"
        f"\n  {outputs / 'pictures.png'}  (what was found)"
        f"\n  {outputs / 'fruit.train_stats.train.png'}  (how the losses fell)"
        f"\n  {script}  (the script: yours to change, and to run on your own images)"
    )


def contact_sheet(pictures: list[Path], target: Path, columns: int = 3) -> Path:
    """Pastes pictures of one size into a single one, row by row.

    Args:
        pictures: The image files, at least one.
        target: The file to write; one that lies there is replaced.
        columns: The most that go into a row.

    Returns:
        `target`.
    """
    images = []
    for path in pictures:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    width, height = images[0].size
    gap = 6
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)  # rounded up
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new("RGB", size, "white")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet.paste(image, (column * (width + gap), row * (height + gap)))
    write_image(sheet, target, force=True)
    return target
