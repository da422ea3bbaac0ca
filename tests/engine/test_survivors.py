"""What reaches the loss is what MMDetection's own pipeline lets through, and each loss has its reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.engine.survivors import survivors

SQUARE = [100.0, 100, 180, 100, 180, 160, 100, 160]


def make(folder, *annotations, name="photo.png"):
    pixels = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    base = {
        "image_id": 1,
        "category_id": 1,
        "bbox": [100, 100, 80, 60],
        "area": 4800,
        "iscrowd": 0,
    }
    content = {
        "images": [{"id": 1, "file_name": name, "width": 320, "height": 240}],
        "annotations": [{**base, "id": k, **a} for k, a in enumerate(annotations)],
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "stem"}],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


@pytest.mark.parametrize(
    "model", ["mask-rcnn_r50_fpn_1x_coco", "rtmdet-ins_tiny_8xb32-300e_coco"]
)
def test_each_loss_has_its_reason(model, tmp_path):
    file = make(
        tmp_path,
        {"segmentation": [SQUARE]},
        {"segmentation": [SQUARE], "iscrowd": 1},
        {"segmentation": [SQUARE], "category_id": 2},
        {"segmentation": [SQUARE], "area": 0},
        {"segmentation": [SQUARE], "bbox": [100, 100, 0.5, 60]},
        {"segmentation": [SQUARE], "bbox": [400, 100, 80, 60]},
        {"segmentation": [[1, 1, 2, 2]]},
        {"segmentation": []},
        {"segmentation": {"size": [240, 320], "counts": [240 * 320 - 4800, 4800]}},
    )
    found = survivors(file, model, ["leaf"])
    leaf = found["classes"]["leaf"]
    assert leaf["annotations"] == 8
    assert (
        leaf["kept"] == 2
    )  # the polygon, and the RLE: training by cvtk draws masks where a set has RLE
    assert leaf["lost"] == {
        "crowd": 1,
        "area 0": 1,
        "box under a pixel": 1,
        "outside the image": 1,
        "ignored, for its mask cannot be read": 1,
        "no mask": 1,
    }
    assert found["classes"]["stem"]["lost"] == {"its class is not in the label file": 1}


def test_an_image_that_cannot_be_opened_is_told(tmp_path):
    file = make(tmp_path, {"segmentation": [SQUARE]})
    (tmp_path / "photo.png").unlink()
    found = survivors(file, "mask-rcnn_r50_fpn_1x_coco")
    (reason,) = found["classes"]["leaf"]["lost"]
    assert reason.startswith("stops the pipeline (FileNotFoundError")
