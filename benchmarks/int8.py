"""An exported model that computes with 8 bits, beside the same one with 32: its size, its time, and its AP.

cvtk export outputs/fruit.pth                              (and again with --int8 train/images)
python benchmarks/int8.py outputs/fruit.onnx outputs/fruit_int8.onnx test/images test/segm.json

The time is that of a processor in one thread, for the network alone. The two take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from cvtk.data.images import read_image
from cvtk.data.sources import list_images
from cvtk.engine.evaluate import evaluate
from cvtk.engine.predictors import open_predictor
from cvtk.engine.spec import make_spec
from cvtk.exported.pixels import fit
from cvtk.options import EvaluateOptions
from cvtk.tables import table

SCORE = 0.3


def main():
    parser = argparse.ArgumentParser(description="What 8 bits gain and cost.")
    parser.add_argument("exact", type=Path, help="NAME.onnx")
    parser.add_argument("small", type=Path, help="NAME_int8.onnx")
    parser.add_argument("images", type=Path, help="images to measure time on")
    parser.add_argument("data", type=Path, help="annotated set to evaluate on")
    args = parser.parse_args()
    models = {"32 bits": open_model(args.exact), "8 bits": open_model(args.small)}
    form = models["32 bits"].about.image
    seconds = times(models, pictures_of(args.images, form, 10))
    rows = [
        (
            name,
            f"{model.spec.weights.stat().st_size / 1e6:.1f}",
            f"{1000 * seconds[name]:.0f}",
            f"{ap(model, args.data):.4f}",
        )
        for name, model in models.items()
    ]
    print(table(rows, [args.exact.name, "MB", "processor ms per image", "AP"]))


def open_model(file):
    return open_predictor(make_spec(file, None, None, False), "cpu")


def pictures_of(folder, form, most):
    return [fit(read_image(i.path), form)[0] for i in list_images(folder)[:most]]


def times(models, pictures):
    """Median seconds of the processor for each model, which take turns."""
    found = {name: [] for name in models}
    for number in range(-2, 20):
        for name, model in models.items():
            start = time.process_time()
            model.file.run(pictures[number % len(pictures)], SCORE)
            if number >= 0:
                found[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in found.items()}


def ap(model, data):
    return evaluate(model, EvaluateOptions(data, device="cpu"))["stats"][
        "AP@[0.50:0.95|all|100]"
    ]


if __name__ == "__main__":
    main()
