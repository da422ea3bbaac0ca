"""Images per second and peak memory of inference: cvtk beside MMDetection's own two ways, with the same weights.

Photographs of 1 to 4 megapixels with 20 to 100 discs and squares each are drawn (see tiles.py, whose weights find
them), as JPEG. Then each way reads all of them, and writes what was found with masks as RLE, and a drawn picture of
each, in a process of its own:

- `cvtk`: `predict_to_files`, which the scripts call;
- `DetInferencer`: MMDetection's class for it, with `out_dir`;
- `inference_detector`: a loop over MMDetection's function, its visualizer and pycocotools, as many people write it.

`cvtk, no drawing` and `inference_detector, no drawing` tell the network and the masks from the drawing. The ways take
turns, `--rounds` times, so that a busy machine slows all of them; the best round of each counts. Times are those of the
images, without the start of the program; memory is the maximum resident set. Then the CPU time of each stage of `cvtk`,
its memory with ten times as many images (hard links), and how its masks and boxes differ from `inference_detector`'s.

    python benchmarks/inference.py [--weights tiles.pth] [--images 200] [--rounds 2]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
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


# What a stage of cvtk is: the module, and the functions in it, by their names.
STAGES = {
    "decode": ("cvtk.engine.images", "Reader.load"),
    "resize": ("cvtk.engine.images", "Reader.prepare"),
    "network, with masks": ("cvtk.engine.predict", "run_network"),
    "masks enlarged and packed": ("cvtk.engine.lean_masks", "_pack"),
    "draw": ("cvtk.results", "draw_objects"),
    "encode and write the drawing": ("cvtk.results", "write_image"),
    "note the objects": ("cvtk.engine.inference", "found_in"),
}


def by_stages(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    """As `cvtk`, and prints the CPU time that each stage takes of its thread."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[stage] += time.thread_time() - start

        return call

    run = with_cvtk(weights, images, out)
    for stage, (module, name) in STAGES.items():
        owner = importlib.import_module(module)
        *classes, function = name.split(".")
        for part in classes:
            owner = getattr(owner, part)
        setattr(owner, function, timed(stage, getattr(owner, function)))

    def run_and_tell() -> int:
        count = run()
        images_done = len(list(images.iterdir()))
        rows = [[k, f"{1000 * v / images_done:.1f}"] for k, v in seconds.items()]
        print(
            table(rows, ["stage of cvtk", "CPU ms per image"], right=[1]),
            file=sys.stderr,
        )
        return count

    return run_and_tell


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
MORE = {"stages": by_stages}


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
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--times", type=int, default=10, help="images, for the memory")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        measure(args.weights, *args.run)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = args.weights or train(folder, "none", 16)
        photographs(folder / "images", args.images)
        best: dict[str, list[float]] = {}
        for _ in range(args.rounds):
            for way in WAYS:
                count, *costs = in_a_process(way, weights, folder, "images")
                known = best.get(way, [count, *costs])[1:]
                best[way] = [count, *map(min, costs, known)]
        show(best, args.images)
        in_a_process("stages", weights, folder, "images")
        (folder / "many").mkdir()
        for number in range(args.times * args.images):
            file = folder / "images" / f"{number % args.images:04d}.jpg"
            os.link(file, folder / "many" / f"{number:05d}.jpg")
        peak = in_a_process("cvtk", weights, folder, "many")[-1]
        print(f"cvtk with {args.times * args.images} images: peak {peak:.0f} MB")
        print(compared(weights, folder / "images"))


def measure(weights: Path, way: str, images: str, out: str, report: str) -> None:
    """One way, in this process: what it finds, the seconds and CPU seconds it takes, and its peak memory in MB, as JSON."""
    run = {**WAYS, **MORE}[way](weights, Path(images), Path(out))
    start, cpu = time.perf_counter(), time.process_time()
    count = run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(report).write_text(json.dumps([count, seconds, cpu, peak]))


def in_a_process(way: str, weights: Path, folder: Path, images: str) -> list[Any]:
    """The same in a process of its own."""
    report = folder / "report.json"
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = ["--weights", str(weights), "--run", way]
        words += [str(folder / images), str(Path(out) / "out"), str(report)]
        command = [sys.executable, __file__, *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def show(best: dict[str, list[float]], images: int) -> None:
    rows = []
    for way, (count, seconds, cpu, peak) in best.items():
        mine = best["cvtk, no drawing" if "no drawing" in way else "cvtk"]
        row = [way, count, f"{images / seconds:.2f}", f"{cpu / images:.2f}"]
        times = [f"{seconds / mine[1]:.2f}", f"{cpu / mine[2]:.2f}"]
        rows.append([*row, f"{peak:.0f}", *times])
    header = ["way", "objects", "images/s", "CPU s per image", "peak MB"]
    header += ["time / cvtk's", "CPU time / cvtk's"]
    print(table(rows, header, right=range(1, 7)), flush=True)


if __name__ == "__main__":
    main()
