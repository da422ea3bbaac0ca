"""One light entry for each way in which MMDetection finds instances: built, trained a step, used.

The whole catalogue is tried by `make zoo` (docs/zoo-table.md); this is what a change may break.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil

import pandas as pd
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.model import create_model

# What is tried -> its entry, and settings by which a step takes seconds: fewer regions of the image are looked at.
FEW = ("model.test_cfg.rpn.max_per_img=50", "model.train_cfg.rcnn.sampler.num=32")
FEW_IN_A_CASCADE = (
    FEW[0],
    *(f"model.train_cfg.rcnn.{stage}.sampler.num=32" for stage in range(3)),
)
FAMILIES = {
    "masks by their place in a grid": ("solov2-light_r18_fpn_ms-3x_coco", ()),
    "masks from prototypes": ("yolact_r50_1xb8-55e_coco", ()),
    "masks by filters of their own": (
        "condinst_r50_fpn_ms-poly-90k_coco_instance",
        (),
    ),
    "masks by queries": ("mask2former_r50_8xb2-lsj-50e_coco", ()),
    "masks point by point": ("point-rend_r50-caffe_fpn_ms-1x_coco", FEW),
    "a cascade, without its semantic maps": ("htc_r50_fpn_1x_coco", FEW_IN_A_CASCADE),
    "a score for the mask": ("ms-rcnn_r50-caffe_fpn_1x_coco", FEW),
    "deformable convolution": ("mask-rcnn_r50-mdconv-c3-c5_fpn_amp-1x_coco", FEW),
    "carafe's upsampling": ("mask-rcnn_r50_fpn-carafe_1x_coco", FEW),
    "normalization across processes": (
        "mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-90k_coco",
        FEW,
    ),
}


# Of two images.
ONE_STEP = {
    "epoch": 1,
    "batch_size": 2,
    "num_workers": 0,
    "image_size": 64,
    "weights": "none",
    "device": "cpu",
}


@pytest.fixture(scope="module")
def two_images(demo, tmp_path_factory):
    """The first and the last image of the demo set; the last has no objects."""
    folder = tmp_path_factory.mktemp("two images")
    coco = json.loads(demo.train.read_text())
    images = [coco["images"][0], coco["images"][-1]]
    shutil.copytree(demo.train.parent / "images", folder / "images")
    kept = [a for a in coco["annotations"] if a["image_id"] == images[0]["id"]]
    few = {**coco, "images": images, "annotations": kept}
    (folder / "few.json").write_text(json.dumps(few))
    return folder / "few.json"


@pytest.mark.train
@pytest.mark.parametrize(("name", "settings"), FAMILIES.values(), ids=FAMILIES)
def test_it_trains_a_step_and_predicts(name, settings, two_images, demo, tmp_path):
    model = create_model(name, labels=demo.label, task="segm")
    model.train(
        two_images,
        output_weights=tmp_path / "a.pth",
        **ONE_STEP,
        set=settings,
    )
    losses = pd.read_csv(tmp_path / "a.train_stats.train.txt", sep="\t")
    assert math.isfinite(losses["loss"].item()) and losses["loss"].item() > 0
    (image,) = (demo.test.parent / "images").glob("*1.*")
    (result,) = model.predict(image, score=0.0, device="cpu")
    for item in result.to_dicts():
        assert item["mask"].shape == (result.height, result.width)
        assert item["category"] in model.classes


@pytest.mark.skipif(
    importlib.util.find_spec("mmpretrain") is not None, reason="mmpretrain is installed"
)
def test_a_package_that_is_missing_is_named(two_images, demo, tmp_path):
    from cvtk.errors import InstallError

    name = "mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco"
    model = create_model(name, labels=demo.label)
    with pytest.raises(InstallError, match=r"pip install onedl-mmpretrain"):
        model.train(two_images, output_weights=tmp_path / "a.pth", device="cpu")


@pytest.mark.train
def test_boxes_of_ssd_are_validated_and_predicted(two_images, demo, tmp_path):
    # MMDetection alone trains it, and ends with an error where it predicts.
    name = "ssdlite_mobilenetv2-scratch_8xb24-600e_coco"
    model = create_model(name, labels=demo.label, task="det")
    model.train(
        two_images,
        two_images,
        output_weights=tmp_path / "a.pth",
        **ONE_STEP,
    )
    metrics = pd.read_csv(tmp_path / "a.train_stats.valid.txt", sep="\t")
    assert 0 <= metrics["coco/bbox_mAP"].item() <= 1
    (image,) = (demo.test.parent / "images").glob("*1.*")
    (result,) = model.predict(image, score=0.0, device="cpu")
    assert len(result.to_dicts()) > 0


@pytest.mark.train
def test_mixed_precision_on_a_cpu(two_images, demo, tmp_path, monkeypatch):
    # PyTorch imitates bfloat16 where the processor does not have it.
    monkeypatch.setattr("cvtk.engine.precision.cpu_has_bfloat16", lambda: True)
    losses = []
    for amp in (False, True):
        output = tmp_path / f"{amp}.pth"
        create_model("rtmdet-ins_tiny", labels=demo.label).train(
            two_images,
            output_weights=output,
            **ONE_STEP,
            amp=amp,
        )
        table = output.with_suffix(".train_stats.train.txt")
        losses.append(pd.read_csv(table, sep="\t")["loss"].item())
    assert losses[0] != losses[1], "numbers of 16 bits were not used"
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
