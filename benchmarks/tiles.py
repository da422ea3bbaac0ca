"""A picture of 8,000 x 8,000 pixels with 2,000 objects in tiles: found, doubled, AP, memory and time, beside sahi and supervision.

Discs and squares are drawn such that none crosses a line of a grid of 500 pixels. So the scene can be cut along that
grid without cutting an object (`pieces`): what the network finds there is what it can find at best. The same network,
trained here on pictures of 500 pixels unless --weights names one that was trained so, then sees the scene in tiles that
overlap and cut hundreds of objects: by cvtk (`tiles`), and, if they are installed, by sahi and by supervision, each
with its own merging. `whole` is without tiles, which finds next to nothing, for the memory that it takes.

Each way runs in a process of its own, so that its peak memory (maximum resident set) is told apart; the time is that of
the prediction alone, from the file to the masks. The scene is 192 MB of pixels.

"Doubled" are predictions beyond the first that lie in the same object by half or more of their pixels. A network makes
some by itself: two masks that are nearly the same, with boxes that are not. So objects that an edge of a tile cuts are
counted apart from the others, in every way, `pieces` included: what the seams add is the difference.

    python benchmarks/tiles.py [--weights FILE.pth] [--size 8000] [--sahi] [--supervision]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as api

import cvtk
from cvtk import data
from cvtk.data.sources import ImageSource
from cvtk.data.tiles import tiles_of
from cvtk.engine.evaluate import statistics_of
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.engine.tiling import Tiling
from cvtk.io import encode_part
from cvtk.tables import table

PIECE = 500  # pixels; also the size of the tiles, and of the pictures to train on
PER_PIECE = 8
OVERLAP = 0.2
SCORE = 0.3
CLASSES = ["disc", "square"]
TRAINING = {"batch_size": 4, "image_size": 256, "num_workers": 0}


def scene(size: int, seed: int) -> tuple[NDArray[np.uint8], list[dict]]:
    """A picture of size x size pixels, and its annotations with ids from 1."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 140, (size, size, 3), dtype=np.uint8)
    annotations: list[dict] = []
    for top in range(0, size, PIECE):
        for left in range(0, size, PIECE):
            taken: list[tuple[float, float, float]] = []
            while len(taken) < PER_PIECE:
                radius = random.uniform(14, 45)
                x, y = random.uniform(radius + 3, PIECE - radius - 3, 2)
                apart = (
                    np.hypot(x - a, y - b) > 1.5 * (radius + c) for a, b, c in taken
                )
                if all(apart):
                    taken.append((x, y, radius))
                    item = draw(pixels, left + x, top + y, radius, random)
                    annotations.append({**item, "id": len(annotations) + 1})
    return pixels, annotations


def draw(pixels: NDArray[np.uint8], x: float, y: float, radius: float, random) -> dict:
    """Draws a disc or a square, and returns its annotation."""
    left, top = int(x - radius), int(y - radius)
    side = int(2 * radius) + 2
    rows, columns = np.mgrid[top : top + side, left : left + side] + 0.5
    kind = int(random.integers(2))
    if kind == 0:
        mask = np.hypot(columns - x, rows - y) < radius
    else:
        mask = np.maximum(abs(columns - x), abs(rows - y)) < 0.8 * radius
    colour = np.array([[200, 60, 50], [60, 90, 200]][kind]) + random.integers(
        -25, 25, 3
    )
    noise = random.integers(-15, 15, (int(mask.sum()), 3))
    pixels[top : top + side, left : left + side][mask] = np.clip(colour + noise, 0, 255)
    height, width = pixels.shape[:2]
    rle = encode_part(mask, left, top, height, width)
    return {
        "image_id": 1,
        "category_id": kind + 1,
        "segmentation": rle,
        "bbox": api.toBbox(rle).tolist(),
        "area": float(mask.sum()),
        "iscrowd": 0,
    }


def write(folder: Path, name: str, pictures: list) -> Path:
    """A COCO file with its pictures beside it."""
    images, annotations = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pixels, items) in enumerate(pictures, 1):
        file = f"{name}_{number}.png"
        Image.fromarray(pixels).save(folder / file, compress_level=1)
        height, width = pixels.shape[:2]
        images.append(
            {"id": number, "file_name": file, "width": width, "height": height}
        )
        for item in items:
            annotations.append({**item, "image_id": number, "id": len(annotations) + 1})
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def train(folder: Path, start: str, epochs: int) -> Path:
    """Weights for pictures of one piece each."""
    sets = {
        name: write(
            folder / "data", name, [scene(PIECE, seed + k) for k in range(count)]
        )
        for name, count, seed in (("train", 64, 1000), ("valid", 8, 2000))
    }
    model = cvtk.create_model("rtmdet-ins_tiny", labels=CLASSES)
    model.train(
        **sets,
        output_weights=folder / "tiles.pth",
        weights=start,
        epoch=epochs,
        **TRAINING,
    )
    return folder / "tiles.pth"


def by_pieces(weights: Path, image: Path) -> list[dict]:
    """What is found in pieces that cut nothing."""
    return by_tiles(weights, image, overlap=0.0)


def by_tiles(
    weights: Path, image: Path, overlap: float = OVERLAP, score: float = 0.05
) -> list[dict]:
    """What cvtk finds in tiles."""
    predictor = Predictor(open_weights(weights), "cpu")
    source = ImageSource(image, image.name, 1)
    [result] = predictor.predict([source], 1, score, Tiling(PIECE, overlap))
    return result.to_coco(1)


def sure_by_tiles(weights: Path, image: Path) -> list[dict]:
    """What cvtk finds in tiles that is sure."""
    return by_tiles(weights, image, score=SCORE)


def by_sahi(weights: Path, image: Path, score: float = 0.05) -> list[dict]:
    """What sahi finds in the same tiles with the same weights; at scores below 0.1 it does not merge, but chooses."""
    import mmdet.registry  # noqa: F401
    from sahi.predict import get_sliced_prediction

    found = get_sliced_prediction(
        str(image),
        model_of_sahi(weights, score),
        slice_height=PIECE,
        slice_width=PIECE,
        overlap_height_ratio=OVERLAP,
        overlap_width_ratio=OVERLAP,
        perform_standard_pred=False,
        verbose=0,
    )
    items = []
    for one in found.object_prediction_list:
        item = one.to_coco_prediction(image_id=1).json
        height, width = (
            one.full_shape if hasattr(one, "full_shape") else one.mask.full_shape
        )
        rle = api.merge(api.frPyObjects(item["segmentation"], height, width))
        item["segmentation"] = {**rle, "counts": rle["counts"].decode()}
        item["category_id"] += 1
        items.append(item)
    return items


def model_of_sahi(weights: Path, score: float):
    """The weights as sahi takes them, without the masks of one or two pixels at which it ends in an error."""
    from sahi.models.mmdet import MmdetDetectionModel
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask as outlines_of

    class Model(MmdetDetectionModel):
        def perform_inference(self, image):
            super().perform_inference(image)
            for found in self._original_predictions:
                sure = np.flatnonzero(np.array(found["scores"]) >= score)
                kept = [k for k in sure if outlines_of(api.decode(found["masks"][k]))]
                found.update({key: [found[key][k] for k in kept] for key in found})

    return Model(
        model_path=str(weights),
        config_path=str(weights.with_suffix(".py")),
        confidence_threshold=score,
        device="cpu",
        category_mapping={str(k): name for k, name in enumerate(CLASSES)},
    )


def sure_by_sahi(weights: Path, image: Path) -> list[dict]:
    """What sahi finds that is sure."""
    return by_sahi(weights, image, SCORE)


def sure_by_supervision(weights: Path, image: Path) -> list[dict]:
    """What supervision's slicer finds in the same tiles with the same weights, with compact masks, and merges.

    At scores from 0.05 on it would need more than 17 GB for the 8,000 x 8,000 pixels.
    """
    import supervision
    from mmdet.apis import inference_detector, init_detector

    model = init_detector(str(weights.with_suffix(".py")), str(weights), device="cpu")

    def found_in(tile: NDArray[np.uint8]) -> supervision.Detections:
        sample = inference_detector(model, np.ascontiguousarray(tile))
        sample.pred_instances = sample.pred_instances[
            sample.pred_instances.scores >= SCORE
        ]
        return supervision.Detections.from_mmdetection(sample)

    slicer = supervision.InferenceSlicer(
        found_in,
        slice_wh=PIECE,
        overlap_wh=round(OVERLAP * PIECE),
        overlap_filter="non_max_merge",
        compact_masks=True,
    )
    pixels = np.asarray(Image.open(image))[..., ::-1]
    found, items = slicer(pixels), []
    for k, (left, top, right, bottom) in enumerate(found.xyxy.tolist()):
        x, y = found.mask.offsets[k].tolist()
        rle = encode_part(found.mask.crop(k), x, y, *pixels.shape[:2])
        item = {"image_id": 1, "category_id": int(found.class_id[k]) + 1}
        item |= {"segmentation": rle, "score": float(found.confidence[k])}
        items.append({**item, "bbox": [left, top, right - left, bottom - top]})
    return items


def whole(weights: Path, image: Path) -> list[dict]:
    """What cvtk finds without tiles: next to nothing, for the objects are too small then. It shows the memory."""
    predictor = Predictor(open_weights(weights), "cpu")
    [result] = predictor.predict([ImageSource(image, image.name, 1)], 1, 0.0)
    return result.to_coco(1)


WAYS = {
    "pieces": by_pieces,
    "tiles": by_tiles,
    "sahi": by_sahi,
    "tiles, sure": sure_by_tiles,
    "sahi, sure": sure_by_sahi,
    "supervision, sure": sure_by_supervision,
    "whole": whole,
}

OTHERS = ("sahi", "supervision")


def run(way: str, weights: Path, image: Path, out: Path) -> None:
    """One way, in this process: what was found, and what it took, as JSON."""
    start, cpu = time.perf_counter(), time.process_time()
    found = WAYS[way](weights, image)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.write_text(
        json.dumps({"found": found, "seconds": seconds, "cpu": cpu, "MB": peak})
    )


def judged(
    found: list[dict], annotations: list[dict], cut: set[int]
) -> tuple[list[int], int]:
    """How many objects were found and how many doubled, of those that are cut, then of the others; and what is neither.

    Args:
        found: Predictions.
        annotations: The objects.
        cut: The indices of those that an edge of a tile cuts.
    """
    sure = sorted((f for f in found if f["score"] >= SCORE), key=lambda f: -f["score"])
    boxes = np.array([a["bbox"] for a in annotations])
    seen: set[int] = set()
    counts, wrong = [0, 0, 0, 0], 0
    for item in sure:
        left, top, w, h = item["bbox"]
        apart = (boxes[:, :2] >= (left + w, top + h)).any(axis=1)
        apart |= (boxes[:, :2] + boxes[:, 2:] <= (left, top)).any(axis=1)
        near = np.flatnonzero(~apart)
        if not len(near):
            wrong += 1
            continue
        others = [annotations[k]["segmentation"] for k in near]
        ious = api.iou([item["segmentation"]], others, [0] * len(near))[0]
        shares = api.iou([item["segmentation"]], others, [1] * len(near))[0]
        best, home = near[ious.argmax()], near[shares.argmax()]  # shares of the item
        if ious.max() >= 0.5 and best not in seen:
            seen.add(best)
            counts[0 if best in cut else 2] += 1
        elif shares.max() >= 0.5:
            counts[1 if home in cut else 3] += 1
        else:
            wrong += 1
    return counts, wrong


def crossing(annotations: list[dict], size: int) -> set[int]:
    """The indices of the objects that an edge of a tile cuts."""
    tiles = tiles_of(size, size, PIECE, OVERLAP)
    edges = sorted({edge for t in tiles for edge in (t.left, t.right)} - {0, size})
    cut = set()
    for index, item in enumerate(annotations):
        x, y, w, h = item["bbox"]
        if any(x < e < x + w or y < e < y + h for e in edges):
            cut.add(index)
    return cut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--weights", type=Path, help="of an earlier run; trained if left out"
    )
    parser.add_argument("--start", default="none", help="weights to train from")
    parser.add_argument("--epoch", type=int, default=16, help="of the training")
    parser.add_argument(
        "--size", type=int, default=8000, help="pixels, in steps of 500"
    )
    for other in OTHERS:
        parser.add_argument(
            f"--{other}",
            action="store_true",
            help="also this; cvtk does not install it",
        )
    parser.add_argument(
        "--keep", type=Path, help="folder for the weights and the scene"
    )
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(args.run[0], *map(Path, args.run[1:]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        compare(args, folder)


def compare(args: argparse.Namespace, folder: Path) -> None:
    weights = args.weights or train(folder, args.start, args.epoch)
    pixels, annotations = scene(args.size, 0)
    file = write(folder / "scene", "scene", [(pixels, annotations)])
    del pixels
    truth = data.read(file)
    cut = crossing(annotations, args.size)
    print(f"{len(annotations)} objects; an edge of a tile cuts {len(cut)} of them\n")
    rows = []
    left_out = [other for other in OTHERS if not getattr(args, other)]
    for way in [w for w in WAYS if not any(other in w for other in left_out)]:
        out = folder / f"{way}.json"
        arguments = [way, str(weights), str(folder / "scene" / "scene_1.png"), str(out)]
        subprocess.run([sys.executable, __file__, "--run", *arguments], check=True)
        got = json.loads(out.read_text())
        counts, wrong = judged(got["found"], annotations, cut)
        stats = statistics_of(truth, got["found"], "segm")["stats"]
        costs = [f"{got[key]:.0f}" for key in ("seconds", "cpu", "MB")]
        rows.append([way, *counts, wrong, f"{next(iter(stats.values())):.3f}", *costs])
    header = ["way", "cut: found", "doubled", "others: found", "doubled", "wrong"]
    header += ["mask AP", "seconds", "CPU s", "peak MB"]
    print(table(rows, header, right=range(1, len(header))))
    print(
        f"\nfound, doubled and wrong, and all that is sure: a score of at least {SCORE};"
        " AP: of at least 0.05"
    )


if __name__ == "__main__":
    main()
