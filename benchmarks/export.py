"""Time per image of trained weights in PyTorch, and exported in onnxruntime and OpenVINO, on the CPU.

python benchmarks/export.py outputs/fruit.pth images/     (outputs/fruit.onnx lies beside it)

Each round runs all of them on the same image, one after the other, so that what else the machine does meets all. The
network alone is what differs; "with files" is from the file of the image to its objects with their masks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np

from cvtk.data.images import read_image
from cvtk.data.sources import list_images
from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import make_spec
from cvtk.exported.pixels import fit
from cvtk.tables import table

SCORE = 0.3


def main():
    parser = argparse.ArgumentParser(description="Time per image, exported and not.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    images = list_images(args.images)
    exported = args.weights.with_suffix(".onnx")
    weights = Predictor(make_spec(args.weights, None, None, False), "cpu")
    onnx = ExportedPredictor(make_spec(exported, None, None, False), "cpu")
    pictures = [fit(read_image(i.path), onnx.about.image)[0] for i in images]
    alone = {
        "PyTorch": pytorch_alone(weights.spec, onnx.about.image, pictures),
        "onnxruntime": lambda i: onnx.file.run(pictures[i], SCORE),
        **openvino_alone(exported, pictures),
    }
    with_files = {
        "PyTorch, with files": lambda i: list(weights.predict([images[i]], 1, SCORE)),
        "onnxruntime, with files": lambda i: list(onnx.predict([images[i]], 1, SCORE)),
    }
    rows = []
    for programs in (alone, with_files):
        times = measure(programs, len(images), args.rounds)
        base = statistics.median(next(iter(times.values())))
        for name, seconds in times.items():
            median = statistics.median(seconds)
            rows.append((name, f"{median * 1000:.0f}", f"{base / median:.2f}"))
    print(f"{args.weights}, {len(images)} images, {args.rounds} rounds")
    print(f"{os.cpu_count()} processor cores; pictures of {pictures[0].shape} pixels")
    print(table(rows, ["program", "ms per image", "times as fast"]))


def measure(programs, images, rounds):
    """Seconds of wall clock of each program in each round, after a first run that does not count."""
    times = {name: [] for name in programs}
    for number in range(-1, rounds):
        for name, program in programs.items():
            start = time.perf_counter()
            program(number % images)
            if number >= 0:
                times[name].append(time.perf_counter() - start)
    return times


def pytorch_alone(spec, form, pictures):
    """The network that is exported, run by PyTorch."""
    import torch

    from cvtk.engine.export.network import ExportedNetwork
    from cvtk.engine.export.stand_ins import stand_ins
    from cvtk.engine.predict import load_network

    loaded = load_network(spec, "cpu", lean_masks=False)
    with stand_ins():
        network = ExportedNetwork(loaded, form, with_masks=spec.task == "segm")

    def run(index):
        with stand_ins(), torch.inference_mode():
            network(torch.from_numpy(pictures[index])[None], torch.tensor(SCORE))

    return run


def openvino_alone(file, pictures):
    """OpenVINO on the same file, if it is installed."""
    try:
        import openvino
    except ImportError:
        return {}
    model = openvino.Core().compile_model(file, "CPU")
    score = np.array(SCORE, dtype=np.float32)

    def run(index):
        model({"image": pictures[index][None], "score": score})

    return {"OpenVINO": run}


if __name__ == "__main__":
    main()
