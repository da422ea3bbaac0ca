"""Names of other toolboxes."""

from __future__ import annotations

import pytest

from cvtk import zoo
from cvtk.errors import ModelError
from cvtk.zoo.elsewhere import MODELS


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_name_has_an_answer_and_what_it_names_is_there(installed, model):
    assert zoo.elsewhere(model.name) is model
    found = zoo.nearest(model)
    assert len(found) >= len(model.near)
    assert {*model.near} <= {entry.name for entry in found}
    with pytest.raises(ModelError) as caught:
        zoo.find(model.name, "segm")
    assert zoo.answer(model) in str(caught.value)
    assert all(entry.name in zoo.answer(model) for entry in found[:1])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mask rt-detr l", "Mask-RT-DETR-L"),
        ("Mask-RT-DETR", "Mask-RT-DETR-S"),
        ("PP-YOLOE_seg", "PP-YOLOE_seg-S"),
        ("YOLACT++", "yolact_plus_base"),
        ("yolact_base_config", "yolact_base"),
        ("yolact_base_54_800000.pth", "yolact_base"),
        ("e2e_mask_rcnn_R_50_C4_1x.yaml", "e2e_mask_rcnn_R_50_C4_1x"),
        ("e2e_mask_rcnn", "e2e_mask_rcnn_R_50_FPN_1x"),
    ],
)
def test_a_name_is_known_as_people_write_it(name, meant):
    assert zoo.elsewhere(name).name == meant


@pytest.mark.parametrize(
    "name",
    [
        "mask rcnn",
        "mask",
        "yolact",
        "SOLOv2",
        "mask-rcnn_r50_fpn_1x_coco",
        "Pose2Seg",
        "",
    ],
)
def test_names_of_models_that_are_here_mean_those(name):
    assert zoo.elsewhere(name) is None


def test_ap_and_size_decide_where_the_architecture_is_elsewhere_alone(installed):
    near = zoo.nearest(zoo.elsewhere("PP-YOLOE_seg-S"), n=3)
    assert len(near) == 3
    assert all(abs(e.mask_ap - 32.5) < 4 and e.weights_url for e in near)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "Mask-RT-DETR-L",
            "exists only in PaddleX (mask AP 45.7, weights 113.6 MB, about 28 M parameters). Nearest in mask AP and",
        ),
        (
            "yolact_resnet50",
            "yolact_resnet50 of YOLACT is called yolact_r50_1xb8-55e_coco here.",
        ),
        (
            "YOLACT++",
            "is not here: it has deformable convolutions and mask rescoring. Near",
        ),
        (
            "e2e_mask_rcnn_R_50_C4_1x",
            "is called mask-rcnn_r50-caffe-c4_1x_coco here. No checkpoint is published",
        ),
        (
            "ResNet50_vd_ssld",
            'it is a backbone; cvtk.mask_rcnn(backbone="resnet50_vd")',
        ),
    ],
)
def test_the_answer_says_what_is_here_and_what_is_not(installed, name, said):
    assert said in zoo.answer(zoo.elsewhere(name))
