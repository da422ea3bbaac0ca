"""What a model starts from, and what learns."""

from __future__ import annotations

import copy

import pytest
from configurations import FAMILIES, MASK_RCNN, original

from cvtk.recipe.nodes import each_dict
from cvtk.recipe.start import set_start


def test_from_scratch_nothing_is_frozen_or_loaded():
    model = original(MASK_RCNN)["model"]
    backbone = model["backbone"]
    assert (backbone["frozen_stages"], backbone["norm_eval"]) == (1, True)
    set_start(model, "none")
    assert (backbone["frozen_stages"], backbone["norm_eval"]) == (-1, False)
    assert backbone["init_cfg"] is None, "nothing is downloaded"
    for name in FAMILIES:
        model = original(name)["model"]
        set_start(model, "none")
        for part in each_dict(model):
            assert part.get("frozen_stages", -1) == -1
            assert part.get("requires_grad", True) is True
            assert "Pretrained" not in str(part.get("init_cfg"))


@pytest.mark.parametrize(
    "name", ["mask-rcnn_hrnetv2p-w18-1x_coco", "yolov3_d53_8xb8-320-273e_coco"]
)
def test_from_scratch_batches_are_normalized_by_what_they_are(name):
    # Unasked, HRNet and Darknet take the means of a training that there never was.
    model = original(name)["model"]
    assert "norm_eval" not in model["backbone"], "or this test shows nothing"
    set_start(model, "coco")
    assert "norm_eval" not in model["backbone"]
    set_start(model, "none")
    assert model["backbone"]["norm_eval"] is False


def test_from_scratch_no_normalization_divides_by_0():
    model = original("nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco")["model"]
    assert model["backbone"]["norm_cfg"]["eps"] == 0, "or this test shows nothing"
    set_start(model, "none")
    assert model["backbone"]["norm_cfg"]["eps"] > 0


def test_from_coco_what_is_frozen_stays_so():
    backbone = original(MASK_RCNN)["model"]["backbone"]
    model = {"backbone": copy.deepcopy(backbone)}
    set_start(model, "coco")
    assert model["backbone"] == {**backbone, "init_cfg": None}


def test_from_imagenet_the_backbone_is_loaded():
    model = original(MASK_RCNN)["model"]
    before = copy.deepcopy(model["backbone"])
    set_start(model, "imagenet")
    assert model["backbone"] == before
    assert before["init_cfg"]["type"] == "Pretrained"


@pytest.mark.parametrize("kind", [{"type": "Pretrained"}, {}], ids=["most", "PVT"])
@pytest.mark.parametrize("weights", ["coco", "my.pth", "https://example.org/a.pth"])
def test_with_weights_of_its_own_a_backbone_downloads_none(weights, kind):
    kaiming = {"type": "Kaiming", "layer": "Conv2d"}
    model = {
        "backbone": {"init_cfg": {**kind, "checkpoint": "torchvision://a"}},
        "neck": {"init_cfg": dict(kaiming)},
    }
    set_start(model, weights)
    assert model == {"backbone": {"init_cfg": None}, "neck": {"init_cfg": kaiming}}
