"""Objects of other images, pasted with soft borders: an augmentation that `accuracy.py` tries."""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import Any

import cv2
import numpy as np
from mmdet.datasets.transforms import CopyPaste, Pad
from mmdet.registry import TRANSFORMS

KEPT = 40  # images to paste from
SHARE = 0.5  # of the images that get objects


class SoftCopyPaste(CopyPaste):  # type: ignore[misc]
    """MMDetection's, but what is pasted fades into the image over two pixels."""

    def _copy_paste(self, target: dict[str, Any], source: dict[str, Any]) -> Any:
        if not len(source["gt_masks"]):
            return target
        before = target["img"]
        pasted = source["gt_masks"].masks.any(axis=0).astype(np.float32)
        result = super()._copy_paste(target, source)
        share = cv2.GaussianBlur(pasted, (5, 5), 0)[..., np.newaxis]
        image = before * (1 - share) + source["img"] * share
        result["img"] = image.astype(np.uint8)
        return result


@TRANSFORMS.register_module()  # type: ignore[untyped-decorator]
class PadAndPaste(Pad):  # type: ignore[misc]
    """Pads, and pastes into half of the images some objects of one that was seen before.

    Args:
        rare: Images with rare classes are pasted from more often: an image counts as its rarest class does.
        settings: Those of `Pad`.
    """

    def __init__(self, rare: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.rare = rare
        # Objects that are hidden but for a few pixels are not learned.
        self.paste = SoftCopyPaste(max_num_pasted=20, mask_occluded_thr=30)
        self.seen: list[dict[str, Any]] = []

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Of the results of a pipeline, with masks as bitmaps."""
        results = super().transform(results)
        others = list(self.seen)
        self.seen = [*self.seen, copy.deepcopy(results)][-KEPT:]
        if not others or random.random() > SHARE:
            return results
        weights = rarities(others) if self.rare else None
        chosen = random.choices(others, weights)
        results["mix_results"] = copy.deepcopy(chosen)
        results = self.paste(results)
        del results["mix_results"]
        return results


def rarities(images: list[dict[str, Any]]) -> list[float]:
    """Of each image, one by the number of images that have its rarest class."""
    classes = [set(image["gt_bboxes_labels"].tolist()) for image in images]
    counts = Counter(kind for found in classes for kind in found)
    usual = 1 / len(images)  # of an image without objects
    return [
        max((1 / counts[kind] for kind in found), default=usual) for found in classes
    ]
