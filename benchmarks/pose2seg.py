"""Pose2Seg, which is given poses, beside RTMDet-Ins, which finds boxes: on dancers whose boxes are nearly the same.

Both train from scratch on the same images, with the same size and for the same minutes of CPU time: some steps of each
are timed first. Mask AP is that of the test images; the poses are those of the annotations. Where a training stays
short, that is in favour of RTMDet-Ins: a step of Pose2Seg takes several times as long.

    python benchmarks/pose2seg.py [--minutes 8] [--images 150] [--size 128] [--threads 1]
"""

from __future__ import annotations

import argparse
import math
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
BATCH = 4
TIMED = 24  # images
METRICS = ("AP@[0.50:0.95|all|100]", "AP@[0.50|all|1000]", "AP@[0.75|all|1000]")


def seconds_a_step(name: str, folder: Path, size: int) -> float:
    """CPU time of a step, without what a training takes to begin and end."""
    place = folder / "few"
    few = make_demo(
        place, images=(TIMED, 1, 1), size=(192, 144), poses=True, force=True
    )
    _, once = train(name, few, folder, 1, size)
    _, thrice = train(name, few, folder, 3, size)
    return (thrice - once) / (2 * TIMED / BATCH)


def train(name: str, data, folder: Path, epochs: int, size: int):
    """The model, and the seconds of CPU time that its training took."""
    model = cvtk.create_model(name, labels=data.label, task="segm")
    started = time.process_time()
    model.train(
        data.train,
        output_weights=folder / f"{model.config.stem}.pth",
        epochs=epochs,
        batch_size=BATCH,
        image_size=size,
        num_workers=0,
        weights="none",
        device="cpu",
        force=True,
    )
    return model, time.process_time() - started


def main() -> None:
    """Trains both, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = (options.images, 1, 60)
        data = make_demo(folder / "data", images=images, size=(192, 144), poses=True)
        for model_name, given in MODELS.items():
            step = seconds_a_step(model_name, folder, options.size)
            steps = math.ceil(options.images / BATCH)
            epochs = max(1, round(60 * options.minutes / (steps * step)))
            print(f"{model_name}: {step:.2f} s a step", flush=True)
            model, took = train(model_name, data, folder, epochs, options.size)
            stats = model.evaluate(data.test, device="cpu")["stats"]
            values = [f"{stats[metric]:.3f}" for metric in METRICS]
            rows.append((model_name, given, epochs, f"{took / 60:.1f}", *values))
            print(rows[-1], flush=True)
    header = ("model", "is told", "epochs", "CPU minutes", "AP", "AP50", "AP75")
    print(
        f"Mask AP on 60 images of 2 to 4 dancers, {options.images} images to learn from"
    )
    print(table(rows, header, right=range(2, 7)))


if __name__ == "__main__":
    main()
