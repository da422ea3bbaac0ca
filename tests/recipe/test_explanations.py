"""What is said of a training: here, of images with more objects than a model returns."""

from __future__ import annotations

import json

import pytest
from cvtk.engine.decisions import crowded


def prepared(folder, *counts):
    """A COCO file whose images have so many objects."""
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(len(counts))]
    items = [{"image_id": n} for n, count in enumerate(counts) for _ in range(count)]
    file = folder / "train.json"
    file.write_text(json.dumps({"images": images, "annotations": items}))
    return [str(file)]


RTMDET = {"model": {"test_cfg": {"max_per_img": 100}}}
MASK_RCNN = {
    "model": {"test_cfg": {"rpn": {"max_per_img": 1000}, "rcnn": {"max_per_img": 100}}}
}


@pytest.mark.parametrize(
    ("cfg", "key"), [(RTMDET, "max_per_img"), (MASK_RCNN, "rcnn.max_per_img")]
)
def test_more_objects_than_the_model_returns(cfg, key, tmp_path):
    (note,) = crowded(cfg, prepared(tmp_path, 3, 250, 101))
    assert "'1.png' has 250 objects" in note and "returns 100" in note
    assert f"--set model.test_cfg.{key}=500" in note
    assert crowded(cfg, prepared(tmp_path, 100, 0)) == []


def test_a_model_without_a_limit_or_a_set_without_objects(tmp_path):
    assert crowded({"model": {}}, prepared(tmp_path, 500)) == []
    assert crowded(RTMDET, prepared(tmp_path)) == []
