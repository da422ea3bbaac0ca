"""Images per second and peak memory of inference: cvtk beside MMDetection's own two ways, with the same weights.

Photographs of 1 to 4 megapixels with 20 to 100 discs and squares each are drawn (see tiles.py, whose weights find
them), as JPEG. Then each way reads all of them, and writes what was found with masks as RLE, and a drawn picture of
each, in a process of its own:

- `cvtk`: `predict_to_files`, which the scripts call;
- `DetInferencer`: MMDetection's class for it, with `out_dir`;
- `inference_detector`: a loop over MMDetection's function, its visualizer and pycocotools, as many people write it.

`cvtk, no drawing` and `inference_detector, no drawing` tell the network and the masks from the drawing. Times are
those of the images, without the start of the program; memory is the maximum resident set. Masks and boxes of `cvtk`
are compared with those of `inference_detector`.

    python benchmarks/inference.py [--weights tiles.pth] [--images 200]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as api

from cvtk.tables import table
from tiles import PIECE, draw, train

SCORE = 0.3


def photographs(folder: Path, count: int) -> None:
    """Draws the images."""
    folder.mkdir(parents=True)
    for number in range(count):
        random = np.random.default_rng(number)
        width = int(random.integers(1150, 2310))
        height = width * 3 // 4
        pixels = random.integers(90, 140, (height, width, 3), dtype=np.uint8)
        for _ in range(int(random.integers(20, 101))):
            # As large in the network's input as in the training, for images of one piece.
            radius = random.uniform(14, 45) * width / PIECE / 2
            x, y = random.uniform(radius + 3, [width - radius - 3, height - radius - 3])
            draw(pixels, x, y, radius, random)
        Image.fromarray(pixels).save(folder / f"{number:04d}.jpg", quality=92)


def with_cvtk(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    import cvtk

    model = cvtk.create_model(weights)
    model._predictor("cpu")

    def run() -> int:
        file = model.predict_to_files(images, out, score=SCORE, device="cpu")
        return len(json.loads(file.read_text())["annotations"])

    return run


def without_drawing(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    import cvtk

    model = cvtk.create_model(weights)
    model._predictor("cpu")

    def run() -> int:
        results = model.predict(images, score=SCORE, device="cpu")
        return sum(len(result.to_coco()) for result in results)

    return run


def with_inferencer(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(
        str(weights.with_suffix(".py")), str(weights), device="cpu", show_progress=False
    )

    def run() -> int:
        inferencer(
            str(images), out_dir=str(out), pred_score_thr=SCORE, no_save_pred=False
        )
        files = (out / "preds").glob("*.json")
        scores = (json.loads(file.read_text())["scores"] for file in files)
        return sum(score >= SCORE for found in scores for score in found)

    return run


def detected(weights: Path, images: Path) -> Iterator[tuple[Path, Any, list]]:
    """What a loop over `inference_detector` finds: the sample, and what is sure, as COCO has it."""
    from mmdet.apis import inference_detector

    model = loaded(weights)
    for file in sorted(images.iterdir()):
        sample = inference_detector(model, str(file))
        found = sample.pred_instances
        items = []
        for one in found[found.scores >= SCORE].cpu():
            rle = api.encode(np.asfortranarray(one.masks[0].numpy(), dtype=np.uint8))
            items.append((one.bboxes[0].tolist(), rle["counts"].decode()))
        yield file, sample, items


def loaded(weights: Path, kept: dict = {}) -> Any:  # noqa: B006 - loaded once
    from mmdet.apis import init_detector

    if weights not in kept:
        config = str(weights.with_suffix(".py"))
        kept[weights] = init_detector(config, str(weights), device="cpu")
    return kept[weights]


def with_loop(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    import mmcv
    from mmdet.visualization import DetLocalVisualizer

    model = loaded(weights)
    painter = DetLocalVisualizer()
    painter.dataset_meta = {**model.dataset_meta, "palette": "random"}

    def run() -> int:
        count = 0
        for file, sample, items in detected(weights, images):
            count += len(items)
            painter.add_datasample(
                file.name,
                mmcv.imread(file, channel_order="rgb"),
                sample,
                draw_gt=False,
                pred_score_thr=SCORE,
                out_file=str(out / file.name),
            )
        return count

    return run


def loop_without_drawing(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    loaded(weights)
    return lambda: sum(len(items) for _, _, items in detected(weights, images))


WAYS = {
    "cvtk": with_cvtk,
    "DetInferencer": with_inferencer,
    "inference_detector": with_loop,
    "cvtk, no drawing": without_drawing,
    "inference_detector, no drawing": loop_without_drawing,
}


def compared(weights: Path, images: Path) -> str:
    """How far the outputs of cvtk and `inference_detector` are apart on the first images."""
    import cvtk

    model = cvtk.create_model(weights)
    boxes, equal, total = 0.0, 0, 0
    files = sorted(images.iterdir())[:5]
    results = model.predict(files, score=SCORE, device="cpu")
    for result, (_, _, items) in zip(results, detected(weights, images), strict=False):
        mine = result.bboxes + np.pad(result.bboxes[:, :2], ((0, 0), (2, 0)))
        theirs = np.array([box for box, _ in items]).reshape(-1, 4)
        boxes = max(boxes, float(np.abs(mine - theirs).max(initial=0)))
        counts = [rle["counts"] for rle in result.masks or []]
        equal += sum(a == b for a, (_, b) in zip(counts, items, strict=True))
        total += len(items)
    return f"{equal} of {total} masks are the same to the pixel; boxes differ by {boxes:.1g} pixels at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, help="of tiles.py; trained if left out")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        way, images, out, report = args.run
        run = WAYS[way](args.weights, Path(images), Path(out))
        start = time.perf_counter()
        count = run()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        Path(report).write_text(json.dumps([count, seconds, peak]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = args.weights or train(folder, "none", 48)
        photographs(folder / "images", args.images)
        rows = []
        for number, way in enumerate(WAYS):
            report = folder / "report.json"
            where = [str(folder / "images"), str(folder / str(number)), str(report)]
            words = ["--weights", str(weights), "--run", way, *where]
            subprocess.run(
                [sys.executable, __file__, *words],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            count, seconds, peak = json.loads(report.read_text())
            rate = args.images / seconds
            rows.append([way, count, f"{rate:.2f}", f"{peak:.0f}"])
        first = float(rows[0][2])
        for row in rows:
            row.append(f"{first / float(row[2]):.2f}")
        header = [
            "way",
            "objects",
            "images/s",
            "peak MB",
            "cvtk is so many times faster",
        ]
        print(table(rows, header, right=range(1, 5)))
        print(compared(weights, folder / "images"))


if __name__ == "__main__":
    main()
