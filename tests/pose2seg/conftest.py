"""Poses of a made-up kind of object with five keypoints: a kite with a head, two hands, a foot and a tail."""

from __future__ import annotations

import copy

import numpy as np
import pytest

NAMES = ["head", "left_hand", "right_hand", "foot", "tail"]
CATEGORY = {
    "id": 1,
    "name": "kite",
    "keypoints": NAMES,
    "skeleton": [[1, 2], [1, 3], [1, 4], [4, 5]],
}
SHAPE = np.array([[20, 4], [8, 14], [32, 18], [20, 32], [26, 38]])


@pytest.fixture
def kites():
    """A COCO file of two images of 64 x 48 pixels: three kites, one of them half hidden."""
    annotations = []
    for number, (image, x, y, marked) in enumerate(
        [(1, 0, 4, 5), (1, 20, 6, 3), (2, 12, 2, 5)], 1
    ):
        marks = [2] * marked + [0] * (5 - marked)
        pose = np.column_stack([SHAPE + np.array([x, y]), marks])
        outline = (SHAPE[[0, 1, 3, 2]] + np.array([x, y])).ravel().tolist()
        annotations.append(
            {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "bbox": [8 + x, 4 + y, 24, 28],
                "area": 336,
                "iscrowd": 0,
                "segmentation": [outline],
                "keypoints": (pose * (pose[:, 2:] > 0)).ravel().tolist(),
                "num_keypoints": marked,
            }
        )
    images = [
        {"id": number, "file_name": f"{number}.png", "width": 64, "height": 48}
        for number in (1, 2)
    ]
    return copy.deepcopy(
        {"images": images, "annotations": annotations, "categories": [CATEGORY]}
    )
