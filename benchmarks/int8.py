"""An exported model with whole numbers of 8 bits: what it gains in time, and costs in AP.

python benchmarks/int8.py outputs/fruit.onnx train/images test/images test/segm.json

onnxruntime's quantiser looks at what the convolutions give for images of the training, and rounds them and their
weights to 8 bits. The time is that of a processor in one thread, for the network alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from cvtk.data.images import read_image
from cvtk.data.sources import list_images
from cvtk.engine.evaluate import evaluate
from cvtk.engine.predictors import open_predictor
from cvtk.engine.spec import make_spec
from cvtk.exported.pixels import fit
from cvtk.options import EvaluateOptions
from cvtk.tables import table

SCORE = 0.3


class Calibration(CalibrationDataReader):
    """Some pictures, one by one."""

    def __init__(self, pictures):
        self.inputs = iter(inputs_of(picture) for picture in pictures)

    def get_next(self):
        """The next one; None behind the last."""
        return next(self.inputs, None)


def main():
    parser = argparse.ArgumentParser(description="What 8 bits gain and cost.")
    parser.add_argument("model", type=Path, help="NAME.onnx")
    parser.add_argument("train", type=Path, help="images to look at")
    parser.add_argument("images", type=Path, help="images to measure time on")
    parser.add_argument("data", type=Path, help="annotated set to evaluate on")
    parser.add_argument("--output", type=Path, help="where to keep the small model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.onnx"
        form = open_model(args.model).about.image
        quantize_static(
            args.model,
            small,
            Calibration(pictures_of(args.train, form, 16)),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,  # signed ones took twice as long
            weight_type=QuantType.QInt8,
        )
        if args.output:
            shutil.copyfile(small, args.output)
        models = {"32 bits": open_model(args.model), "8 bits": open_model(small)}
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
    print(table(rows, [args.model.name, "MB", "processor ms per image", "AP"]))


def open_model(file):
    return open_predictor(make_spec(file, None, None, False), "cpu")


def pictures_of(folder, form, most):
    return [fit(read_image(i.path), form)[0] for i in list_images(folder)[:most]]


def inputs_of(picture):
    return {"image": picture[None], "score": np.array(SCORE, np.float32)}


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
