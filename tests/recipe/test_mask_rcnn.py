"""Mask R-CNN from its parts: each parameter changes what it names, and the models build."""

from __future__ import annotations

import importlib.util

import pytest

from cvtk.errors import FileError, ModelError
from cvtk.recipe.mask_rcnn import mask_rcnn, save_config

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mmdet") is None, reason="needs MMDetection"
)


def changed(a, b, path=""):
    """The paths at which two configurations differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {
            p
            for k in a.keys() | b.keys()
            for p in changed(a.get(k), b.get(k), f"{path}.{k}".strip("."))
        }
    if (
        isinstance(a, (list, tuple))
        and isinstance(b, (list, tuple))
        and len(a) == len(b)
    ):
        return {
            p
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            for p in changed(x, y, f"{path}.{i}")
        }
    return set() if a == b else {path}


@pytest.fixture(scope="module")
def plain():
    return mask_rcnn()


RPN, ROI, TEST = "rpn_head", "roi_head", "test_cfg"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {}),
        (
            {"num_classes": 3},
            {f"{ROI}.bbox_head.num_classes": 3, f"{ROI}.mask_head.num_classes": 3},
        ),
        (
            {"with_dcn": True},
            {
                "backbone.dcn": {
                    "type": "DCNv2",
                    "deform_groups": 1,
                    "fallback_on_stride": False,
                },
                "backbone.stage_with_dcn": [False, True, True, True],
            },
        ),
        (
            {"aspect_ratios": [0.2, 1, 5]},
            {
                f"{RPN}.anchor_generator.ratios.0": 0.2,
                f"{RPN}.anchor_generator.ratios.2": 5.0,
            },
        ),
        (
            {"anchor_sizes": [16, 64, 128, 256, 512]},
            {f"{RPN}.anchor_generator.base_sizes.0": 16.0},
        ),
        (
            {
                "rpn_cls_loss": "focal",
                "rpn_focal_loss_alpha": 0.3,
                "rpn_focal_loss_gamma": 1.5,
            },
            {
                f"{RPN}.loss_cls.type": "FocalLoss",
                f"{RPN}.loss_cls.alpha": 0.3,
                f"{RPN}.loss_cls.gamma": 1.5,
            },
        ),
        (
            {"rcnn_bbox_loss": "ciou"},
            {
                f"{ROI}.bbox_head.loss_bbox.type": "CIoULoss",
                f"{ROI}.bbox_head.loss_bbox.loss_weight": 12.0,
                f"{ROI}.bbox_head.loss_bbox.beta": None,
                f"{ROI}.bbox_head.reg_decoded_bbox": True,
            },
        ),
        (
            {"rcnn_nms": "soft_nms", "softnms_sigma": 0.4},
            {
                f"{TEST}.rcnn.nms.type": "soft_nms",
                f"{TEST}.rcnn.nms.method": "gaussian",
                f"{TEST}.rcnn.nms.sigma": 0.4,
                f"{TEST}.rcnn.nms.min_score": 0.05,
                f"{TEST}.rcnn.nms.iou_threshold": None,
            },
        ),
        ({"keep_top_k": 300}, {f"{TEST}.rcnn.max_per_img": 300}),
        ({"nms_threshold": 0.6}, {f"{TEST}.rcnn.nms.iou_threshold": 0.6}),
        ({"score_threshold": 0.01}, {f"{TEST}.rcnn.score_thr": 0.01}),
        ({"rpn_batch_size_per_im": 64}, {"train_cfg.rpn.sampler.num": 64}),
        ({"rpn_fg_fraction": 0.25}, {"train_cfg.rpn.sampler.pos_fraction": 0.25}),
        ({"test_pre_nms_top_n": 2000}, {f"{TEST}.rpn.nms_pre": 2000}),
        ({"test_post_nms_top_n": 500}, {f"{TEST}.rpn.max_per_img": 500}),
    ],
)
def test_each_parameter_changes_what_it_names_and_nothing_else(
    plain, arguments, expected
):
    model = mask_rcnn(**arguments)["model"]
    assert changed(plain["model"], model) == set(expected)
    for path, value in expected.items():
        node = model
        for key in path.split("."):
            node = node[int(key)] if isinstance(node, (list, tuple)) else node.get(key)
        assert node == value, path


def test_libra_draws_negatives_balanced_by_iou(plain):
    sampler = mask_rcnn(bbox_assigner="libra")["model"]["train_cfg"]["rcnn"]["sampler"]
    assert sampler["neg_sampler"]["type"] == "IoUBalancedNegSampler"
    assert (
        sampler["num"] == plain["model"]["train_cfg"]["rcnn"]["sampler"]["num"] == 512
    )


def build(cfg):
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    return MODELS.build(
        Config(cfg).model
    )  # weights are downloaded by init_weights only


@pytest.mark.parametrize(
    ("arguments", "kind", "stem"),
    [
        ({"backbone": "resnet18"}, "ResNet", 64),
        (
            {"backbone": "resnet50_vd", "with_dcn": True, "fpn_num_channels": 64},
            "ResNetV1d",
            32,
        ),
        ({"backbone": "resnext101"}, "ResNeXt", 64),
        ({"backbone": "hrnet_w18", "fpn_num_channels": 128}, "HRNet", 64),
        ({"backbone": "resnet18", "with_fpn": False}, "ResNet", 64),
        ({"backbone": "resnet18", "input_channels": 4}, "ResNet", 64),
    ],
)
def test_models_build_with_the_parts_asked_for(arguments, kind, stem):
    model = build(mask_rcnn(num_classes=2, **arguments))
    assert type(model.backbone).__name__ == kind
    assert model.with_neck == arguments.get("with_fpn", True)
    first = next(p for n, p in model.backbone.named_parameters() if p.dim() == 4)
    assert tuple(first.shape[:2]) == (stem, arguments.get("input_channels", 3))
    assert model.roi_head.bbox_head.fc_cls.out_features == 3  # and the background
    assert model.roi_head.mask_head.conv_logits.out_channels == 2
    if model.with_neck:
        assert model.rpn_head.rpn_conv.in_channels == arguments.get(
            "fpn_num_channels", 256
        )
    deformable = any(
        type(m).__name__.startswith("ModulatedDeform") for m in model.backbone.modules()
    )
    assert deformable == arguments.get("with_dcn", False)


@pytest.mark.parametrize("with_fpn", [True, False])
def test_anchors_have_the_sizes_in_pixels(with_fpn):
    import torch
    from mmdet.registry import TASK_UTILS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    sizes = [20.0, 50, 100, 200, 400]
    cfg = mask_rcnn(
        backbone="resnet18",
        with_fpn=with_fpn,
        anchor_sizes=sizes,
        aspect_ratios=[1.0, 2.0],
    )
    generator = TASK_UTILS.build(cfg["model"]["rpn_head"]["anchor_generator"])
    boxes = torch.cat(generator.base_anchors)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert sorted(set((width * height).sqrt().round(decimals=3).tolist())) == sizes
    assert sorted(set((height / width).round(decimals=3).tolist())) == [1.0, 2.0]


def test_a_model_without_fpn_takes_a_step_and_predicts():
    import torch
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    torch.manual_seed(0)
    cfg = mask_rcnn(
        2,
        "resnet18",
        with_fpn=False,
        rpn_cls_loss="focal",
        rcnn_bbox_loss="ciou",
        rcnn_nms="soft_nms",
    )
    model = build(cfg)
    masks = torch.zeros(1, 64, 64)
    masks[:, 10:40, 10:40] = 1
    truth = InstanceData(
        bboxes=torch.tensor([[10.0, 10, 40, 40]]),
        labels=torch.tensor([1]),
        masks=BitmapMasks(masks.numpy(), 64, 64),
    )
    meta = {
        "img_shape": (64, 64),
        "ori_shape": (64, 64),
        "pad_shape": (64, 64),
        "scale_factor": (1.0, 1.0),
    }
    sample = DetDataSample(
        metainfo=meta,
        gt_instances=truth,
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4)),
    )
    data = model.data_preprocessor(
        {
            "inputs": [torch.zeros(3, 64, 64, dtype=torch.uint8)],
            "data_samples": [sample],
        },
        True,
    )
    loss, _ = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    assert torch.isfinite(loss)
    with torch.no_grad():
        (found,) = model.eval()(**data, mode="predict")
    assert found.pred_instances.masks.shape[1:] == (64, 64)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"backbone": "resnet5"}, "Did you mean"),
        ({"rcnn_nms": "ciou_nms"}, "It takes: nms, soft_nms"),
        ({"backbone": "hrnet_w18", "with_fpn": False}, "needs with_fpn=True"),
        ({"backbone": "resnet18", "with_dcn": True}, "no deformable convolutions"),
        ({"anchor_sizes": [32, 64]}, "give 5, one per level"),
    ],
)
def test_what_does_not_exist_is_said(arguments, said):
    with pytest.raises(ModelError, match=said):
        mask_rcnn(**arguments)


def test_the_file_gives_the_same_configuration_back(tmp_path, plain):
    from mmengine.config import Config

    file = save_config(plain, tmp_path / "my model.py")
    assert not changed(Config.fromfile(file).to_dict(), Config(plain).to_dict())
    assert [p.name for p in tmp_path.iterdir()] == ["my model.py"]
    with pytest.raises(FileError, match="exists already"):
        save_config(plain, file)
    with pytest.raises(FileError, match="Python file"):
        save_config(plain, tmp_path / "model.json")
    assert save_config({"model": {"type": "A"}}, file, force=True) == file
    assert Config.fromfile(file).to_dict() == {"model": {"type": "A"}}
