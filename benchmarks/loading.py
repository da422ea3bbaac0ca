"""CPU time that the masks of a training image take: cvtk's and MMDetection's `LoadAnnotations`, image by image in turn.

    python benchmarks/loading.py [--objects 3 30 200] [--turns 12] [--size 1500 1000] [--image_size 256]

The steps are those of RTMDet-Ins from the decoded image on, in one thread, with masks as bitmaps: without mosaic and
mixup, as in short trainings, and with them. They end in the tensor that the network learns from, and it is checked that
both ways give the same images and masks. Mosaic and mixup choose from 6 images; in MMDetection's way, 200 objects take
300 MB in each. The first 5 turns of each way, in which these come together, are not counted.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from typing import Any

import cv2
import mmdet
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope

from cvtk.engine.training_masks import load_training_masks

FIRST = 5


def objects(count: int, size: tuple[int, int], seed: int) -> list[dict[str, Any]]:
    """Annotations of an image of (width, height): outlines of 60 points, which cover about a third of it."""
    rng = np.random.default_rng(seed)
    limits, angle = np.array(size), np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius, found = 0.35 * np.sqrt(np.prod(size) / max(count, 9)), []
    for _ in range(count):
        length = radius * rng.uniform(0.5, 1.3) * (1 + 0.2 * np.sin(3 * angle))
        points = np.stack((np.cos(angle), np.sin(angle)), axis=1) * length[:, None]
        points = np.clip(points + rng.uniform(0, limits), 0, limits).round(1)
        box = [*points.min(axis=0), *points.max(axis=0)]
        fields = {"bbox": box, "bbox_label": 0, "ignore_flag": 0}
        found.append({**fields, "mask": [points.ravel().tolist()]})
    return found


def pipeline(size: int, mosaic: bool) -> list[dict[str, Any]]:
    """The steps of RTMDet-Ins for images of `size` x `size` pixels, after the image was read."""
    square, grey = (size, size), (114, 114, 114)
    mix = {"img_scale": square, "max_cached_images": 6, "random_pop": False}
    steps: list[dict[str, Any]] = [
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
        {"type": "CachedMosaic", "pad_val": 114.0, **mix},
        {
            "type": "RandomResize",
            "scale": (2 * size, 2 * size) if mosaic else square,
            "ratio_range": (0.5, 2.0),
            "keep_ratio": True,
        },
        {
            "type": "RandomCrop",
            "crop_size": square,
            "recompute_bbox": True,
            "allow_negative_crop": True,
        },
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Pad", "size": square, "pad_val": {"img": grey}},
        {"type": "CachedMixUp", "pad_val": grey, "ratio_range": (1.0, 1.0), **mix},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1)},
        {"type": "PackDetInputs"},
    ]
    return [step for step in steps if mosaic or "Cached" not in step["type"]]


def prepare(steps: Any, sample: dict[str, Any], seed: int) -> tuple[float, list[Any]]:
    """Milliseconds of CPU time of one image, and what a network gets of it."""
    random.seed(seed)
    np.random.seed(seed)
    sample = copy.deepcopy(sample)
    begin = time.process_time()
    packed = steps(sample)
    if packed is None:
        return 1000 * (time.process_time() - begin), []
    seen = packed["data_samples"].gt_instances
    masks = seen.masks.to_tensor(torch.bool, "cpu")
    spent = 1000 * (time.process_time() - begin)
    return spent, [packed["inputs"], seen.bboxes.tensor, masks]


def measure(
    count: int, mosaic: bool, chosen: argparse.Namespace
) -> tuple[float, float]:
    """Mean milliseconds per image with cvtk's masks and with MMDetection's."""
    width, height = chosen.size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    hand = pipeline(chosen.image_size, mosaic)
    ours = copy.deepcopy(hand)
    load_training_masks(ours)
    ways = [Compose(ours), Compose(hand)]
    spent: list[list[float]] = [[], []]
    for turn in range(FIRST + chosen.turns):
        number = turn % FIRST  # as in epochs
        size = (height, width)
        sample = {"img": image, "img_shape": size, "ori_shape": size}
        sample["instances"] = objects(count, (width, height), number)
        sample.update(img_path=f"{number}.jpg", img_id=number)
        both = [prepare(steps, sample, turn) for steps in ways]
        assert len(both[0][1]) == len(both[1][1])
        assert all(map(torch.equal, both[0][1], both[1][1])), "masks differ"
        if turn >= FIRST:
            for way, (milliseconds, _) in zip(spent, both, strict=True):
                way.append(milliseconds)
    return float(np.mean(spent[0])), float(np.mean(spent[1]))


def main() -> None:
    """Measures all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[3, 30, 200])
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--size", type=int, nargs=2, default=[1500, 1000])
    parser.add_argument("--image_size", type=int, default=256)
    chosen = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    init_default_scope("mmdet")
    print(f"MMDetection {mmdet.__version__}, ms of CPU time per image of {chosen.size}")
    print(f"{'mosaic':8}{'objects':>8}{'cvtk':>10}{'MMDetection':>14}{'ratio':>8}")
    for mosaic in (False, True):
        for count in chosen.objects:
            ours, hand = measure(count, mosaic, chosen)
            row = f"{'yes' if mosaic else 'no':8}{count:8}{ours:10.1f}{hand:14.1f}"
            print(f"{row}{hand / ours:8.1f}", flush=True)


if __name__ == "__main__":
    main()
