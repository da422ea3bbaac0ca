"""Images per second and peak memory of inference: cvtk beside MMDetection's own two ways, with the same weights.

Photographs of 1 to 4 megapixels with 20 to 100 discs and squares each are drawn (see tiles.py, whose weights find
them), as JPEG. Then each way reads all of them, and writes what was found with masks as RLE, and a drawn picture of
each:

- `cvtk`: `predict_to_files`, which the scripts call;
- `DetInferencer`: MMDetection's class for it, with `out_dir`;
- `inference_detector`: a loop over MMDetection's function, its visualizer and pycocotools, as many people write it.

`cvtk, no drawing` and `inference_detector, no drawing` tell the network and the masks from the drawing. The ways take
turns: each gets the first part of the images, then each the second, so that a busy machine slows all of them. How many
times as long another way takes is the mean over the turns, with a 95% interval (Student's t). Each turn of a way is a
process of its own; times are those of the images, without the start of the program; memory is the maximum resident
set. All masks and boxes are compared. Then the CPU time of each stage of `cvtk`, on the images of the first turn.

With --memory only the memory of `cvtk`, for these images and for ten times as many (hard links to them).

    python benchmarks/inference.py [--weights tiles.pth] [--images 200] [--turns 5] [--memory]
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import resource
import shutil
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
from scipy import stats

from cvtk.io import encode_mask
from cvtk.tables import table
from tiles import PIECE, draw, train

SCORE = 0.3

Found = dict[str, list[tuple[list[float], dict[str, Any]]]]
"""For each image the objects, the best first: left, top, right and bottom, and the RLE of the mask."""


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


def with_cvtk(weights: Path, images: Path, out: Path) -> Callable[[], Any]:
    import cvtk

    model = cvtk.create_model(weights)
    model._predictor("cpu")

    def run() -> Callable[[], int]:
        file = model.predict_to_files(images, out, score=SCORE, device="cpu")
        return lambda: len(json.loads(file.read_text())["annotations"])

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


def by_stages(weights: Path, images: Path, out: Path) -> Callable[[], Any]:
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

    def run_and_tell() -> Any:
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


def detected(weights: Path, images: Path, found: Found) -> Iterator[tuple[Path, Any]]:
    """What a loop over `inference_detector` finds: the samples; what is sure is noted in `found`."""
    from mmdet.apis import inference_detector

    model = loaded(weights)
    for file in sorted(images.iterdir()):
        sample = inference_detector(model, str(file))
        instances = sample.pred_instances
        items = found[file.name] = []
        for one in instances[instances.scores >= SCORE].cpu():
            items.append((one.bboxes[0].tolist(), encode_mask(one.masks[0].numpy())))
        yield file, sample


def noted(found: Found, out: Path) -> int:
    """Writes what a loop found, and counts it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "found.json").write_text(json.dumps(found))
    return sum(map(len, found.values()))


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
        found: Found = {}
        for file, sample in detected(weights, images, found):
            painter.add_datasample(
                file.name,
                mmcv.imread(file, channel_order="rgb"),
                sample,
                draw_gt=False,
                pred_score_thr=SCORE,
                out_file=str(out / file.name),
            )
        return noted(found, out)

    return run


def loop_without_drawing(weights: Path, images: Path, out: Path) -> Callable[[], int]:
    loaded(weights)

    def run() -> int:
        found: Found = {}
        for _ in detected(weights, images, found):
            pass
        return noted(found, out)

    return run


WAYS = {
    "cvtk": with_cvtk,
    "DetInferencer": with_inferencer,
    "inference_detector": with_loop,
    "cvtk, no drawing": without_drawing,
    "inference_detector, no drawing": loop_without_drawing,
}
MORE = {"stages": by_stages}


def found_by(way: str, out: Path) -> Found:
    """What a way has written."""
    if way == "inference_detector":
        return json.loads((out / "found.json").read_text())
    if way == "DetInferencer":
        found: Found = {}
        for file in (out / "preds").glob("*.json"):
            objects = json.loads(file.read_text())
            rows = zip(
                *(objects[k] for k in ("scores", "bboxes", "masks")), strict=True
            )
            sure = [(box, mask) for score, box, mask in rows if score >= SCORE]
            found[f"{file.stem}.jpg"] = sure
        return found
    document = json.loads((out / "instances.json").read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    found = {name: [] for name in names.values()}
    for item in document["annotations"]:
        x, y, w, h = item["bbox"]
        corners = [x, y, x + w, y + h]
        found[names[item["image_id"]]].append((corners, item["segmentation"]))
    return found


class Differences:
    """How far the outputs of another way are from those of cvtk."""

    def __init__(self) -> None:
        self.images = self.objects = self.equal = 0
        self.boxes, self.iou = 0.0, 1.0  # the largest in pixels, the lowest

    def add(self, mine: Found, theirs: Found) -> None:
        """Compares the images of a turn."""
        self.images += len(mine)
        for name, objects in mine.items():
            others = theirs.get(name, [])
            self.objects += max(len(objects), len(others))
            for (box, mask), (other, its_mask) in zip(objects, others, strict=False):
                self.equal += mask == its_mask
                self.iou = min(self.iou, float(api.iou([mask], [its_mask], [0])[0, 0]))
                apart = np.abs(np.subtract(box, other)).max()
                self.boxes = max(self.boxes, float(apart))

    def __str__(self) -> str:
        return (
            f"{self.equal} of {self.objects} masks in {self.images} images are the same to the pixel, the lowest IoU is"
            f" {self.iou:.5f}; boxes differ by {self.boxes:.1g} pixels at most"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, help="of tiles.py; trained if left out")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5, help="parts of the images")
    parser.add_argument("--memory", action="store_true", help="of cvtk, and no more")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        measure(args.weights, *args.run)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = args.weights or train(folder, "none", 16)
        photographs(folder / "images", args.images)
        if args.memory:
            show_memory(weights, folder, args.images)
        else:
            take_turns(weights, folder, args.images, args.turns)
            in_a_process("stages", weights, folder / "turn0", folder / "out")


def take_turns(weights: Path, folder: Path, images: int, turns: int) -> None:
    """All ways, each with a part of the images after the other."""
    costs: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    apart = {way: Differences() for way in ("DetInferencer", "inference_detector")}
    for turn in range(turns):
        part = folder / f"turn{turn}"
        part.mkdir()
        for number in range(turn, images, turns):
            os.link(folder / "images" / f"{number:04d}.jpg", part / f"{number:04d}.jpg")
        mine: Found = {}
        for way in WAYS:
            out = folder / f"out{turn}" / way
            costs[way].append(in_a_process(way, weights, part, out))
            if way == "cvtk":
                mine = found_by(way, out)
            elif way in apart:
                apart[way].add(mine, found_by(way, out))
        shutil.rmtree(folder / f"out{turn}")
        done = len(range(turn, images, turns))
        print(f"turn {turn + 1} of {turns}, {done} images", file=sys.stderr, flush=True)
    show(costs, images)
    for way, differences in apart.items():
        print(f"{way} and cvtk: {differences}")


def show_memory(weights: Path, folder: Path, images: int) -> None:
    """The peak of cvtk for the images, and for ten times as many."""
    many = folder / "many"
    many.mkdir()
    for number in range(10 * images):
        file = folder / "images" / f"{number % images:04d}.jpg"
        os.link(file, many / f"{number:05d}.jpg")
    for part, count in ((folder / "images", images), (many, 10 * images)):
        _, seconds, _, peak = in_a_process("cvtk", weights, part, folder / "out")
        print(
            f"cvtk with {count} images: peak {peak:.0f} MB, {seconds:.0f} seconds",
            flush=True,
        )
        shutil.rmtree(folder / "out")


def measure(weights: Path, way: str, images: str, out: str, report: str) -> None:
    """One way, in this process: what it finds, the seconds and CPU seconds it takes, and its peak memory in MB, as JSON."""
    run = {**WAYS, **MORE}[way](weights, Path(images), Path(out))
    start, cpu = time.perf_counter(), time.process_time()
    count = run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if callable(count):  # what needs memory to be counted
        count = count()
    Path(report).write_text(json.dumps([count, seconds, cpu, peak]))


def in_a_process(way: str, weights: Path, images: Path, out: Path) -> list[float]:
    """The same in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        words = ["--weights", weights, "--run", way, images, out, report.name]
        command = [sys.executable, __file__, *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(report.name).read_text())


def show(costs: dict[str, list[list[float]]], images: int) -> None:
    """The table of all ways."""
    rows = []
    for way, turns in costs.items():
        count, seconds, cpu, _ = np.sum(turns, axis=0)
        peak = max(turn[-1] for turn in turns)
        mine = costs["cvtk, no drawing" if "no drawing" in way else "cvtk"]
        ratios = [np.divide(a, b) for a, b in zip(turns, mine, strict=True)]
        row = [way, int(count), f"{images / seconds:.2f}", f"{cpu / images:.2f}"]
        times = ["", ""] if turns is mine else [in_words(ratios, k) for k in (1, 2)]
        rows.append([*row, f"{peak:.0f}", *times])
    header = ["way", "objects", "images/s", "CPU s per image", "peak MB"]
    header += ["time / cvtk's", "CPU time / cvtk's"]
    print(table(rows, header, right=range(1, 7)), flush=True)


def in_words(ratios: list[Any], column: int) -> str:
    """A mean ratio with its interval."""
    values = np.array([ratio[column] for ratio in ratios])
    if len(values) < 2:
        return f"{values.mean():.2f}"
    t = float(stats.t.ppf(0.975, len(values) - 1))
    margin = t * values.std(ddof=1) / math.sqrt(len(values))
    low, high = values.mean() - margin, values.mean() + margin
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
