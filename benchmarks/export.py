"""Time per image of trained weights in PyTorch and exported, on the CPU, and whether all find the same.

cvtk export outputs/fruit.pth --to onnx             (and openvino, and torchscript: beside the weights)
OMP_NUM_THREADS=1 python benchmarks/export.py outputs/fruit.pth images/ --data test/segm.json

Each round runs all of them on the same image, one after the other, so that what else the machine does meets all. Of
the times, that of the processor hardly depends on it. The network alone is what differs; "with files" is from the file
of the image to its objects with their masks. With --data, masks and AP are compared on an annotated set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from cvtk.data.images import read_image
from cvtk.data.sources import list_images
from cvtk.engine.evaluate import evaluate
from cvtk.engine.predictors import open_predictor
from cvtk.engine.spec import make_spec
from cvtk.exported.kinds import SUFFIXES, threads
from cvtk.exported.pixels import fit
from cvtk.options import EvaluateOptions
from cvtk.tables import table

SCORE = 0.3
BEST = 20  # objects of an image whose masks are compared


def main():
    parser = argparse.ArgumentParser(description="Time per image, exported and not.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--data", type=Path, help="annotated set, to compare on")
    parser.add_argument("--trust_weights", action="store_true")
    args = parser.parse_args()
    images = list_images(args.images)
    files = {kind: args.weights.with_suffix(end) for kind, end in SUFFIXES.items()}
    there = {"PyTorch": args.weights, **{k: f for k, f in files.items() if f.exists()}}
    models = {
        name: open_predictor(make_spec(file, None, None, args.trust_weights), "cpu")
        for name, file in there.items()
    }
    print(f"{args.weights}, {len(images)} images, {args.rounds} rounds")
    print(
        f"{threads()} threads each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    show_times(models, images, args.rounds)
    if args.data:
        show_results(models, images, args.data)


def show_times(models, images, rounds):
    """Prints the time of each model, for the network alone and with files."""
    exported = [model for name, model in models.items() if name != "PyTorch"]
    form = exported[0].about.image
    pictures = [fit(read_image(image.path), form)[0] for image in images]
    alone = {"PyTorch": pytorch_alone(models["PyTorch"].spec, form, pictures)}
    alone.update(openvino_rounded(models.get("openvino"), pictures))
    for name, model in models.items():
        if name != "PyTorch":
            alone[name] = lambda i, file=model.file: file.run(pictures[i], SCORE)
    with_files = {
        f"{name}, with files": lambda i, m=model: list(m.predict([images[i]], 1, SCORE))
        for name, model in models.items()
    }
    rows = []
    for programs in (alone, with_files):
        times = measure(programs, len(images), rounds)
        [base, *_] = times.values()
        for name, one in times.items():
            shown = [f"{1000 * seconds:.0f}" for seconds in one]
            faster = [f"{b / s:.2f}" for b, s in zip(base, one, strict=True)]
            rows.append((name, *shown, *faster))
    print(f"pictures of {pictures[0].shape} pixels")
    columns = ["wall ms", "processor ms", "wall, times as fast", "processor, times"]
    print(table(rows, ["program", *columns]))


def measure(programs, images, rounds):
    """Median seconds of wall clock and of the processor for each program, after two rounds that do not count."""
    times = {name: [] for name in programs}
    for number in range(-2, rounds):
        for name, program in programs.items():
            start = time.perf_counter(), time.process_time()
            program(number % images)
            end = time.perf_counter(), time.process_time()
            if number >= 0:
                times[name].append(np.subtract(end, start))
    return {
        name: [statistics.median(column) for column in zip(*each, strict=True)]
        for name, each in times.items()
    }


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


def openvino_rounded(model, pictures):
    """OpenVINO in bfloat16, as it does by itself where the processor has that, and cvtk does not let it."""
    if model is None:
        return {}
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": threads()}
    rounded = openvino.Core().compile_model(model.spec.weights, "CPU", settings)
    score = np.array(SCORE, dtype=np.float32)

    def run(index):
        rounded({"image": pictures[index][None], "score": score})

    return {"openvino, bfloat16": run}


def show_results(models, images, data):
    """Prints how alike the masks are to those of PyTorch, and the AP of each."""
    expected = list(models["PyTorch"].predict(images, 1, 0.05))
    rows = []
    for name, model in models.items():
        ious = [
            iou
            for one, other in zip(expected, model.predict(images, 1, 0.05), strict=True)
            for iou in ious_of(one.best(BEST), other)
        ]
        stats = evaluate(model, EvaluateOptions(data, device="cpu"))["stats"]
        alike = np.mean(np.array(ious) >= 0.99) if ious else float("nan")
        least = f"{min(ious, default=float('nan')):.4f}"
        row = (
            name,
            f"{len(ious)}",
            f"{np.mean(ious):.4f}",
            least,
            f"{100 * alike:.1f}%",
        )
        rows.append((*row, f"{stats['AP@[0.50:0.95|all|100]']:.4f}"))
    columns = ["objects", "mean IoU", "least IoU", "IoU >= 0.99", "AP"]
    print(f"of each image, the {BEST} best objects that PyTorch finds; AP on {data}")
    print(table(rows, ["program", *columns]))


def ious_of(one, other):
    """For each object of a result its IoU with the one of the other result that fits best; masks, else boxes."""
    if not len(one):
        return []
    if not len(other):
        return [0.0] * len(one)
    if one.masks is None:
        pairs = coco_mask.iou(one.bboxes, other.bboxes, [0] * len(other))
    else:
        pairs = coco_mask.iou(one.masks, other.masks, [0] * len(other))
    same = one.labels[:, None] == other.labels[None]
    return np.where(same, pairs, 0).max(axis=1)


if __name__ == "__main__":
    main()
