"""What reaches the loss is what MMDetection's own pipeline lets through, and each loss has its reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.cli import main
from cvtk.engine.survivors import survivors
from cvtk.errors import OptionError

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


SMALL = [100.0, 100, 104, 100, 104, 103, 100, 103]


@pytest.mark.parametrize(
    "model", ["mask-rcnn_r50_fpn_1x_coco", "rtmdet-ins_tiny_8xb32-300e_coco"]
)
def test_objects_vanish_at_a_small_size(model, tmp_path):
    # In a picture of 320 x 240 that becomes 42 x 32 (or 32 x 24) pixels, 4 x 3 become 0.5 x 0.4.
    file = make(
        tmp_path,
        {"segmentation": [SQUARE]},
        {"segmentation": [SMALL], "bbox": [100, 100, 4, 3], "area": 12},
    )
    for size, kept in ((None, 2), (640, 2), (32, 1)):
        found = survivors(file, model, image_size=size)
        assert found["image_size"] == size
        assert found["classes"]["leaf"]["kept"] == kept
    assert found["classes"]["leaf"]["lost"] == {
        "too small once the image is resized": 1
    }


def test_a_size_that_is_drawn_is_that_of_the_test_images(tmp_path):
    # RTMDet learns from images of half to twice their size: the same set is told the same each time.
    box = [100, 100, 1.2, 1.2]
    file = make(tmp_path, {"segmentation": [SQUARE], "bbox": box})
    found = [
        survivors(file, "rtmdet-ins_tiny_8xb32-300e_coco", image_size=320)
        for _ in range(5)
    ]
    assert "RandomResize" in found[0]["left_out"]
    assert found == [found[0]] * 5


def test_an_architecture_that_does_not_resize_has_no_size(tmp_path):
    file = make(tmp_path, {"segmentation": [SQUARE]})
    with pytest.raises(OptionError, match="takes images as large as they are"):
        survivors(file, "centernet_r18_8xb16-crop512-140e_coco", image_size=320)


def test_check_says_what_is_too_small(tmp_path):
    file = make(
        tmp_path,
        {"segmentation": [SQUARE]},
        {"segmentation": [SMALL], "bbox": [100, 100, 4, 3], "area": 12},
    )
    words = ["data", "check", str(file), "--output", str(tmp_path / "report")]
    model = ["--model", "mask-rcnn_r50_fpn_1x_coco"]
    said = CliRunner().invoke(main, [*words, *model, "--image_size", "32"]).output
    assert "at --image_size 32 sees of 1 images" in said
    assert "leaf: 1 of 2 reach the loss (1 too small once the image is resized)" in said
    written = json.loads(
        (tmp_path / "report" / "check_dataset_result.json").read_text()
    )
    assert written["survivors"]["image_size"] == 32
    for wrong in ([*model, "--image_size", "5"], ["--image_size", "64"]):
        done = CliRunner().invoke(main, [*words, *wrong])
        assert done.exit_code == 2 and "--image_size" in done.output
