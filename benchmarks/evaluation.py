"""Seconds for all COCO figures, overall and by class: cvtk beside pycocotools.

pycocotools is run the way that per-class AP is usually had: once over all classes, then
once for each class. Both get the same made-up masks and predictions, in turn.

    python benchmarks/evaluation.py [--images 200] [--classes 10] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvtk.metrics import coco_stats, fast_evaluator

SIDE = 160  # pixels


def make(images: int, classes: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Discs in random places, and three predictions near each."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]

    def disc(x: float, y: float, r: float) -> dict[str, Any]:
        bitmap = (columns - x) ** 2 + (rows - y) ** 2 < r * r
        mask = rle.encode(np.asfortranarray(bitmap.astype(np.uint8)))
        box, area = rle.toBbox(mask).tolist(), float(rle.area(mask))
        mask["counts"] = mask["counts"].decode()
        return {"segmentation": mask, "bbox": box, "area": area}

    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [
        {"id": c, "name": f"class {c}"} for c in range(1, classes + 1)
    ]
    found = []
    for image in range(1, images + 1):
        size = {"width": SIDE, "height": SIDE}
        truth["images"].append({"id": image, "file_name": f"{image}.jpg", **size})
        for _ in range(8):
            x, y = random.uniform(20, 140, 2)
            r = random.uniform(5, 30)
            kind = {
                "image_id": image,
                "category_id": int(random.integers(1, classes + 1)),
            }
            number = len(truth["annotations"]) + 1
            item = {"id": number, **kind, **disc(x, y, r), "iscrowd": 0}
            truth["annotations"].append(item)
            for _ in range(3):
                dx, dy = random.normal(0, 3, 2)
                near = disc(x + dx, y + dy, r * random.uniform(0.8, 1.2))
                found.append({**kind, **near, "score": float(random.random())})
    return truth, found


def usual_way(truth: Path, found: list[dict[str, Any]], classes: int) -> float:
    """AP over all classes, then once more for each class."""
    coco = COCO(str(truth))
    results = coco.loadRes([{k: v for k, v in p.items() if k != "bbox"} for p in found])
    for chosen in [list(range(1, classes + 1))] + [[c] for c in range(1, classes + 1)]:
        run = COCOeval(coco, results, "segm")
        run.params.catIds, run.params.maxDets = chosen, [100, 300, 1000]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[0])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    truth, found = make(options.images, options.classes)
    names = ("pycocotools, class by class", "cvtk on pycocotools", "cvtk as installed")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "truth.json")
        file.write_text(json.dumps(truth))
        ways = (
            lambda: usual_way(file, found, options.classes),
            lambda: coco_stats(file, found, "segm"),
            lambda: coco_stats(file, found, "segm", fast_evaluator()),
        )
        for _ in range(options.rounds):
            for name, way in zip(names, ways, strict=True):
                start = time.perf_counter()
                with contextlib.redirect_stdout(io.StringIO()):
                    way()
                seconds[name].append(time.perf_counter() - start)
    print(f"{options.images} images, {len(truth['annotations'])} masks,", end=" ")
    print(
        f"{len(found)} predictions, {options.classes} classes; median of {options.rounds}\n"
    )
    for name, times in seconds.items():
        pairs = zip(times, seconds[names[0]], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:28} {statistics.median(times):7.2f} s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
