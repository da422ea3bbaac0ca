"""Seconds and memory of all that an evaluation does once the predictions are there: metrics, report, tables, figures.

10,000 images, 80,000 objects of 10 classes, 100 predictions an image, all made up and with masks (see evaluation.py).
The bounds to keep are 5 minutes and 2 GB. The process that is measured reads the annotations and the predictions,
which a model would have given it one by one, and then writes what `evaluate` writes. Its memory is the peak of the
process, with the predictions.

    python benchmarks/report.py [--images N]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import evaluation
from cvtk.tables import table

CLASSES, OBJECTS, PREDICTIONS = 10, 8, 100  # the last two per image
SECONDS, MEGABYTES = 300, 2000


def make(folder, images):
    """Annotations and predictions, and an image of noise for all of them."""
    evaluation.make(folder, images, images * OBJECTS, CLASSES, PREDICTIONS)
    found = json.loads((folder / "found.json").read_text())
    lines = (json.dumps(prediction) + "\n" for prediction in found)
    (folder / "found.jsonl").write_text("".join(lines))
    noise = np.random.default_rng(0).integers(90, 160, (24, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((evaluation.WIDTH, evaluation.HEIGHT))
    picture.save(folder / "1.jpg")
    for number in range(2, images + 1):
        (folder / f"{number}.jpg").hardlink_to(folder / "1.jpg")


def measure(folder):
    """Does what `evaluate` does, and prints seconds and peak memory after each step as JSON."""
    from cvtk.data import read
    from cvtk.data.predictions import Predictions
    from cvtk.engine import evaluate
    from cvtk.engine.spec import ModelSpec

    steps, start = [], time.perf_counter()

    def done(step):
        seconds = time.perf_counter() - start
        steps.append((step, seconds, time.process_time(), evaluation.peak_memory()))

    import torch  # noqa: F401  as where a network predicts

    dataset, predictions = read(folder / "truth.json"), Predictions()
    with (folder / "found.jsonl").open() as lines:
        for line in lines:
            predictions.extend([{**json.loads(line), "area": 0.0}])
    done("reading annotations and predictions")
    statistics = evaluate.statistics_of(dataset, predictions, "segm")
    done("metrics of masks and boxes")
    out = folder / "out"
    evaluate.write_statistics(
        statistics, predictions, out, out / evaluate.STATS, force=False
    )
    done("writing them")
    spec = ModelSpec("made up", folder / "none.py", "segm", dataset.class_names, [])
    told = evaluate.write_analysis(spec, dataset, predictions, out, force=False)
    assert told is not None, "the report could not be written"
    done("report, tables and figures")
    print(json.dumps(steps))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "make":
        make(options.folder, options.images)
        return
    if options.step == "measure":
        measure(options.folder)
        return
    folder = Path(tempfile.mkdtemp())
    try:
        report(folder, options.images)
    finally:
        shutil.rmtree(folder)


def report(folder, images):
    """Runs both steps in processes of their own, and prints the table."""
    common = ["--folder", str(folder), "--images", str(images)]
    in_a_process(*common, "--step", "make")
    steps = json.loads(in_a_process(*common, "--step", "measure").splitlines()[-1])
    print(
        f"{images} images, {images * OBJECTS} objects, {images * PREDICTIONS} predictions"
    )
    rows = [(step, *(f"{value:.0f}" for value in values)) for step, *values in steps]
    header = ("step", "seconds so far", "of a core", "MB at most")
    print(table(rows, header, right=(1, 2, 3)))
    print(f"To keep: {SECONDS} seconds and {MEGABYTES} MB")


def in_a_process(*arguments):
    """Runs this program in a process of its own; see `evaluation.in_a_process`."""
    import subprocess

    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
