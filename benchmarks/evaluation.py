"""Seconds and memory for all COCO metrics, overall and by class: cvtk beside what else there is.

The data are as large as COCO's validation set, with made-up masks: 5,000 images, 80 classes, 36,000
objects, 100 predictions per image. pycocotools has metrics by class only if it is run once per class on
top; faster-coco-eval is left out where it is not installed. Each way runs in a process of its own, reads the
same two files first, and is then timed; its memory is the peak of the process, files included.

    python benchmarks/evaluation.py [--small] [--kind segm|bbox]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT = 640, 480
LIMITS = [100, 300, 1000]
Predictions = list[dict[str, Any]]


def ellipse(x: float, y: float, rx: float, ry: float) -> list[float]:
    """An ellipse as a polygon of 24 points, in pixels."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    xs = np.clip(x + rx * np.cos(angles), 0, WIDTH)
    ys = np.clip(y + ry * np.sin(angles), 0, HEIGHT)
    return np.stack((xs, ys), axis=1).ravel().round(2).tolist()


def random_shape(random: np.random.Generator) -> list[float]:
    """Centre and half axes: as many small, medium and large objects as in COCO, more or less."""
    radius = random.choice([10, 30, 80], p=[0.4, 0.35, 0.25])
    rx, ry = radius * random.uniform(0.5, 1.2, 2)
    return [random.uniform(0, WIDTH), random.uniform(0, HEIGHT), rx, ry]


def found(
    image: int, category: int, shape: list[float], score: float
) -> dict[str, Any]:
    """A prediction, its mask as RLE."""
    from pycocotools import mask as api

    rle = api.frPyObjects([ellipse(*shape)], HEIGHT, WIDTH)[0]
    bbox = api.toBbox(rle).tolist()
    mask = {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": mask,
        "bbox": bbox,
        "score": score,
    }


def make(folder: Path, images: int, objects: int, classes: int, per_image: int) -> None:
    """Writes objects as polygons, and of each two predictions near it and noise elsewhere."""
    random = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    predictions: Predictions = []
    owners = np.sort(random.integers(1, images + 1, objects))
    for image in range(1, images + 1):
        count = 0
        for _ in range(int((owners == image).sum())):
            shape, category = random_shape(random), int(random.integers(1, classes + 1))
            x, y, rx, ry = shape
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": category,
                "segmentation": [ellipse(*shape)],
                "bbox": [x - rx, y - ry, 2 * rx, 2 * ry],
                "area": np.pi * rx * ry,
                "iscrowd": 0,
            }
            annotations.append(annotation)
            for _ in range(2):
                near = (np.array(shape) + random.normal(0, 0.08, 4) * rx).tolist()
                score = random.random() ** 0.5
                predictions.append(found(image, category, near, score))
                count += 1
        for _ in range(per_image - count):
            category, score = int(random.integers(1, classes + 1)), random.random() ** 3
            predictions.append(found(image, category, random_shape(random), score))
    size = {"width": WIDTH, "height": HEIGHT}
    truth = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", **size} for i in range(1, images + 1)
        ],
        "categories": [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)],
        "annotations": annotations,
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "found.json").write_text(json.dumps(predictions))


def cvtk_way(truth: Path, predictions: Predictions, kind: str) -> float:
    """All metrics from one evaluation."""
    from cvtk.metrics import evaluate

    metrics = evaluate(truth, predictions, kind)
    return metrics.stats[metrics.headline]


def cvtk_without_hotcoco(truth: Path, predictions: Predictions, kind: str) -> float:
    """The same where hotcoco is not installed."""
    sys.modules["hotcoco"] = None  # type: ignore[assignment]
    return cvtk_way(truth, predictions, kind)


def pycocotools_once(truth: Path, predictions: Predictions, kind: str) -> float:
    """Overall metrics only."""
    from pycocotools.coco import COCO

    true = COCO(str(truth))
    return run_pycocotools(true, true.loadRes(of_kind(predictions, kind)), kind, [])


def pycocotools_per_class(truth: Path, predictions: Predictions, kind: str) -> float:
    """Overall metrics, and then once more for each class."""
    from pycocotools.coco import COCO

    true = COCO(str(truth))
    results = true.loadRes(of_kind(predictions, kind))
    for category in true.getCatIds():
        run_pycocotools(true, results, kind, [category])
    return run_pycocotools(true, results, kind, [])


def run_pycocotools(true: Any, results: Any, kind: str, categories: list[int]) -> float:
    """One evaluation, of all classes where none is named."""
    from pycocotools.cocoeval import COCOeval

    run = COCOeval(true, results, kind)
    run.params.catIds = categories or run.params.catIds
    run.params.maxDets = LIMITS
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])


def faster_coco_eval(truth: Path, predictions: Predictions, kind: str) -> float:
    """Overall metrics; those by class can be had from its arrays."""
    from faster_coco_eval import COCO, COCOeval_faster

    true = COCO(str(truth))
    results = true.loadRes(of_kind(predictions, kind))
    run = COCOeval_faster(true, results, kind)
    run.params.maxDets = LIMITS
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])


def of_kind(predictions: Predictions, kind: str) -> Predictions:
    """Without boxes, else the area of the box would be taken for that of the mask."""
    hidden = "bbox" if kind == "segm" else "segmentation"
    return [{k: v for k, v in p.items() if k != hidden} for p in predictions]


WAYS: dict[str, tuple[Callable[[Path, Predictions, str], float], bool]] = {
    # name: the way, and whether it gives metrics by class
    "cvtk": (cvtk_way, True),
    "cvtk without hotcoco": (cvtk_without_hotcoco, True),
    "faster-coco-eval": (faster_coco_eval, False),
    "pycocotools once": (pycocotools_once, False),
    "pycocotools once per class": (pycocotools_per_class, True),
}


def measure(way: str, folder: Path, kind: str) -> None:
    """Runs one way in this process and prints its figures as JSON."""
    predictions = json.loads((folder / "found.json").read_text())
    before = peak_memory()
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        ap = WAYS[way][0](folder / "truth.json", predictions, kind)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, before, peak_memory(), ap]))


def peak_memory() -> float:
    """The most memory that this process has held, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, else kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_a_process(*arguments: str) -> str:
    """Calls this program again. Its parent holds no data: a child's peak would begin at the parent's."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of the images")
    parser.add_argument("--kind", choices=["segm", "bbox"], default="segm")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    images, objects = (500, 3_600) if options.small else (5_000, 36_000)
    if options.step == "make":
        make(options.folder, images, objects, classes=80, per_image=100)
        return
    if options.step:
        measure(options.step, options.folder, options.kind)
        return
    with tempfile.TemporaryDirectory() as folder:
        common = ["--folder", folder, "--kind", options.kind]
        in_a_process("--step", "make", *common, *["--small"] * options.small)
        print(
            f"{images} images, {objects} objects, {images * 100} predictions, 80 classes, {options.kind}\n"
        )
        print(
            f"{'':28}{'seconds':>9}{'MB read':>9}{'MB peak':>9}  by class  AP",
            flush=True,
        )
        for name, (_, by_class) in WAYS.items():
            if name == "faster-coco-eval" and not importlib.util.find_spec(
                "faster_coco_eval"
            ):
                print(f"{name:28} is not installed")
                continue
            seconds, before, peak, ap = json.loads(
                in_a_process("--step", name, *common)
            )
            print(
                f"{name:28}{seconds:9.2f}{before:9.0f}{peak:9.0f}  {'yes' if by_class else 'no':8}  {ap:.12f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
