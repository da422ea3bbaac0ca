"""The default model trains: one step of Mask R-CNN, and an image without objects in it."""

from __future__ import annotations

import json
import math
import shutil

import pandas as pd
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.config import MODELS
from cvtk.model import create_model


@pytest.mark.train
def test_the_default_model_trains_a_step(demo, tmp_path):
    coco = json.loads(demo.train.read_text())
    images = [coco["images"][0], coco["images"][-1]]  # the last has no objects
    shutil.copytree(demo.train.parent / "images", tmp_path / "images")
    kept = [a for a in coco["annotations"] if a["image_id"] == images[0]["id"]]
    few = {**coco, "images": images, "annotations": kept}
    (tmp_path / "few.json").write_text(json.dumps(few))
    model = create_model(labels=demo.label)
    assert model.name == MODELS["segm"]
    output = tmp_path / "out" / "a.pth"
    stats = model.train(
        tmp_path / "few.json",
        output_weights=output,
        epoch=1,
        batch_size=2,
        num_workers=0,
        image_size=64,
        weights="none",
        device="cpu",
    )
    assert stats is None, "without a test set"
    assert output.is_file() and model.weights == output
    losses = pd.read_csv(tmp_path / "out" / "a.train_stats.train.txt", sep="\t")
    expected = "loss loss_rpn_cls loss_rpn_bbox loss_cls acc loss_bbox loss_mask"
    assert [c for c in losses if "loss" in c or c == "acc"] == expected.split()
    assert all(math.isfinite(v) and v > 0 for v in losses["loss"])
    assert losses["loss_mask"][0] > 0, "its masks, some of them RLE, are learned from"
