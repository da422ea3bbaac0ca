"""Pose2Seg, which is given poses, beside RTMDet-Ins, which finds boxes: on dancers whose boxes are nearly the same.

Both train from scratch on the same images, with the same size and for the same minutes of CPU time: some steps of each
are timed first, unless --epochs says how long. Mask AP is that of the test images; the poses are those of the
annotations. Data, weights and drawings stay in the folder of --output.

    python benchmarks/pose2seg.py [--minutes 8] [--images 150] [--size 128] [--threads 1] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import math
import operator
import statistics
import tempfile
import time
from pathlib import Path

import cvtk
from cvtk.demo import make_demo
from cvtk.tables import table

MODELS = {
    "pose2seg_r50_fpn": "given poses",
    "rtmdet-ins_tiny_8xb32-300e_coco": "none",
}
SIZE = (192, 144)  # of the images
TIMED = 16  # images
TESTED = 60
DRAWN = 12
METRICS = ("AP@[0.50:0.95|all|100]", "AP@[0.50|all|1000]", "AP@[0.75|all|1000]")


def seconds_a_step(name: str, folder: Path, options: argparse.Namespace) -> float:
    """CPU time of a step, without what a training takes to begin and end: the median of some."""
    few = make_demo(
        folder / "few", images=(TIMED, 1, 1), size=SIZE, poses=True, force=True
    )
    clock: list[float] = []
    train(
        name,
        few,
        folder / "timed",
        1,
        options,
        lambda *_: clock.append(time.process_time()),
    )
    return statistics.median(map(operator.sub, clock[1:], clock))


def train(
    name: str,
    data,
    folder: Path,
    epochs: int,
    options: argparse.Namespace,
    progress=None,
):
    """The model, and the seconds of CPU time that its training took."""
    model = cvtk.create_model(name, labels=data.label, task="segm")
    started = time.process_time()
    model.train(
        data.train,
        output_weights=folder / f"{model.config.stem}.pth",
        epochs=epochs,
        batch_size=options.batch,
        image_size=options.size,
        num_workers=0,
        weights="none",
        device="cpu",
        force=True,
        progress=progress,
    )
    return model, time.process_time() - started


def compare(folder: Path, options: argparse.Namespace) -> list[tuple]:
    """Trains both; a row of the table for each."""
    data = make_demo(
        folder / "data",
        images=(options.images, 1, TESTED),
        size=SIZE,
        poses=True,
        force=True,
    )
    rows = []
    for name, given in MODELS.items():
        if options.only not in name:
            continue
        epochs = options.epochs
        if epochs is None:
            step = seconds_a_step(name, folder, options)
            steps = math.ceil(options.images / options.batch)
            epochs = max(1, round(60 * options.minutes / (steps * step)))
            print(f"{name}: {step:.2f} s a step", flush=True)
        model, took = train(name, data, folder, epochs, options)
        stats = model.evaluate(data.test, device="cpu")["stats"]
        values = [f"{stats[metric]:.3f}" for metric in METRICS]
        rows.append((name, given, epochs, f"{took / 60:.1f}", *values))
        print(rows[-1], flush=True)
        drawn = model.predict(data.test, device="cpu", score=0.3)
        for result in itertools.islice(drawn, DRAWN):
            result.save_to_img(folder / f"drawn_{model.config.stem}", force=True)
    return rows


def main() -> None:
    """Trains both, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--epochs", type=int, help="in place of minutes")
    parser.add_argument("--only", default="", help="one of the two: pose2seg, rtmdet")
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="a folder, in place of a new one")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        rows = compare(options.output or Path(name), options)
    header = ("model", "is told", "epochs", "CPU minutes", "AP", "AP50", "AP75")
    print(
        f"Mask AP on {TESTED} images of 2 to 4 dancers, {options.images} images to learn from"
    )
    print(table(rows, header, right=range(2, 7)))


if __name__ == "__main__":
    main()
