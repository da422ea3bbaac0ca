"""Mask R-CNN by its parts: a configuration from the parameters that PaddleX's `MaskRCNN` has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvtk.errors import FileError, ModelError, did_you_mean

# Channels that a ResNet with bottleneck blocks gives after each of its four stages; ResNet-18 a quarter.
_CHANNELS = [256, 512, 1024, 2048]
_V1D = {"type": "ResNetV1d"}
_BACKBONES: dict[str, dict[str, Any]] = {
    "resnet18": {"depth": 18, "checkpoint": "torchvision://resnet18"},
    "resnet50": {"depth": 50, "checkpoint": "torchvision://resnet50"},
    "resnet101": {"depth": 101, "checkpoint": "torchvision://resnet101"},
    "resnet50_vd": {
        **_V1D,
        "depth": 50,
        "checkpoint": "mmcls://resnet50_v1d",
        "prefix": "backbone.",
    },
    "resnet101_vd": {
        **_V1D,
        "depth": 101,
        "checkpoint": "mmcls://resnet101_v1d",
        "prefix": "backbone.",
    },
    "resnext101": {},
    "hrnet_w18": {},
}
# The configurations of MMDetection to start from; all ResNets share one.
_BASES = {
    "resnext101": "mask-rcnn_x101-32x4d_fpn_1x_coco",
    "hrnet_w18": "mask-rcnn_hrnetv2p-w18-1x_coco",
}
_FPN_BASE, _C4_BASE = "mask-rcnn_r50_fpn_1x_coco", "mask-rcnn_r50-caffe-c4_1x_coco"


def mask_rcnn(
    num_classes: int = 80,
    backbone: str = "resnet50",
    with_fpn: bool = True,
    with_dcn: bool = False,
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    rpn_cls_loss: str = "cross_entropy",
    rpn_focal_loss_alpha: float = 0.25,
    rpn_focal_loss_gamma: float = 2.0,
    rcnn_bbox_loss: str = "smooth_l1",
    rcnn_nms: str = "nms",
    keep_top_k: int = 100,
    nms_threshold: float = 0.5,
    score_threshold: float = 0.05,
    softnms_sigma: float = 0.5,
    bbox_assigner: str = "random",
    fpn_num_channels: int = 256,
    input_channels: int = 3,
    rpn_batch_size_per_im: int = 256,
    rpn_fg_fraction: float = 0.5,
    test_pre_nms_top_n: int | None = None,
    test_post_nms_top_n: int = 1000,
) -> dict[str, Any]:
    """A complete configuration of Mask R-CNN, for `cvtk.create_model` and `cvtk create --model FILE`.

    Args:
        num_classes: Number of classes without the background (PaddleX counts the background too: one more).
            `cvtk.create_model` and the scripts set it from the labels.
        backbone: `resnet18`, `resnet50`, `resnet101`, `resnet50_vd`, `resnet101_vd` (ResNetV1d),
            `resnext101` (32x4d) or `hrnet_w18`.
        with_fpn: Whether a feature pyramid is used; without, the features after the fourth of five stages
            ("C4") and the fifth in the heads, for the ResNets only.
        with_dcn: Whether stages 3 to 5 use deformable convolutions v2; for backbones with bottleneck blocks.
        aspect_ratios: Height by width of the anchors.
        anchor_sizes: Square root of the anchors' areas, in pixels: with FPN one for each of its five levels,
            finest first; without, any number of them at each place.
        rpn_cls_loss: `cross_entropy` or `focal`, for objects against background in the proposals.
        rpn_focal_loss_alpha: Weight of objects in the focal loss, 0 to 1.
        rpn_focal_loss_gamma: How much the focal loss spares the easy, 0 or more.
        rcnn_bbox_loss: `smooth_l1` or `ciou` (on decoded boxes, weight 12, as MMDetection has it).
        rcnn_nms: `nms` or `soft_nms` (Gaussian: score * exp(-iou**2 / softnms_sigma)).
        keep_top_k: Most objects an image; with `soft_nms` 300 is usual.
        nms_threshold: IoU above which the lower score goes, 0 to 1; no effect with `soft_nms`.
        score_threshold: Lowest score, 0 to 1; with `soft_nms` 0.01 is usual.
        softnms_sigma: Width of the Gaussian of `soft_nms`, above 0.
        bbox_assigner: How proposals are drawn for the training of the heads: `random`, or `libra`
            (IoU-balanced, https://arxiv.org/abs/1904.02701), for objects that cover little of the images.
        fpn_num_channels: Channels of the feature pyramid.
        input_channels: Channels of the images; other than 3, images are read unchanged (1: in grey) and
            scaled by one mean and deviation.
        rpn_batch_size_per_im: Anchors an image that the proposals learn from.
        rpn_fg_fraction: Highest part of them that are objects, 0 to 1.
        test_pre_nms_top_n: Proposals before their suppression at prediction, a level with FPN; None:
            MMDetection's 1000 with FPN, 6000 without.
        test_post_nms_top_n: Proposals after it.

    Returns:
        A complete MMEngine configuration as plain dicts and lists; `save_config` writes it to a file.

    Raises:
        ModelError: A value that is none of those above, or a combination that does not exist.
        InstallError: MMDetection is not installed.
    """
    _one_of("backbone", backbone, _BACKBONES)
    _one_of("rpn_cls_loss", rpn_cls_loss, ("cross_entropy", "focal"))
    _one_of("rcnn_bbox_loss", rcnn_bbox_loss, ("smooth_l1", "ciou"))
    _one_of("rcnn_nms", rcnn_nms, ("nms", "soft_nms"))
    _one_of("bbox_assigner", bbox_assigner, ("random", "libra"))
    cfg = _base(backbone, with_fpn)
    model = cfg["model"]
    rpn, roi = model["rpn_head"], model["roi_head"]
    _set_backbone(model, backbone, with_fpn)
    if with_dcn:
        _set_dcn(model["backbone"], backbone)
    if with_fpn:
        _set_fpn_channels(model, fpn_num_channels)
    if input_channels != 3:
        _set_input_channels(cfg, input_channels)
    _set_anchors(rpn["anchor_generator"], with_fpn, aspect_ratios, anchor_sizes)

    roi["bbox_head"]["num_classes"] = roi["mask_head"]["num_classes"] = num_classes
    if rpn_cls_loss == "focal":
        focal = {"alpha": rpn_focal_loss_alpha, "gamma": rpn_focal_loss_gamma}
        rpn["loss_cls"] = {
            "type": "FocalLoss",
            "use_sigmoid": True,
            "loss_weight": 1.0,
            **focal,
        }
    if rcnn_bbox_loss == "smooth_l1":
        roi["bbox_head"]["loss_bbox"] = {
            "type": "SmoothL1Loss",
            "beta": 1.0,
            "loss_weight": 1.0,
        }
    else:
        # The loss of whole boxes is small beside that of four numbers each: hence the weight.
        roi["bbox_head"]["loss_bbox"] = {"type": "CIoULoss", "loss_weight": 12.0}
        roi["bbox_head"]["reg_decoded_bbox"] = True

    model["train_cfg"]["rpn"]["sampler"].update(
        num=rpn_batch_size_per_im, pos_fraction=rpn_fg_fraction
    )
    if bbox_assigner == "libra":
        heads = model["train_cfg"]["rcnn"]
        heads["sampler"] = {
            "type": "CombinedSampler",
            "num": heads["sampler"]["num"],
            "pos_fraction": heads["sampler"]["pos_fraction"],
            "add_gt_as_proposals": True,
            "pos_sampler": {"type": "InstanceBalancedPosSampler"},
            "neg_sampler": {
                "type": "IoUBalancedNegSampler",
                "floor_thr": -1,
                "floor_fraction": 0,
                "num_bins": 3,
            },
        }

    test = model["test_cfg"]
    test["rpn"]["max_per_img"] = test_post_nms_top_n
    if test_pre_nms_top_n is not None:
        test["rpn"]["nms_pre"] = test_pre_nms_top_n
    if rcnn_nms == "nms":
        nms: dict[str, Any] = {"type": "nms", "iou_threshold": nms_threshold}
    else:
        # What falls below the lowest score has no use later.
        nms = {
            "type": "soft_nms",
            "method": "gaussian",
            "sigma": softnms_sigma,
            "min_score": score_threshold,
        }
    test["rcnn"].update(score_thr=score_threshold, max_per_img=keep_top_k, nms=nms)
    return cfg


def save_config(cfg: dict[str, Any], file: str | Path, force: bool = False) -> Path:
    """Writes a configuration to a Python file that `--model` and `create_model` take.

    Args:
        cfg: A complete configuration, such as `mask_rcnn` returns.
        file: Where to, `NAME.py`.
        force: Whether a file that exists may be replaced.

    Returns:
        The path written.

    Raises:
        FileError: The name does not end in `.py`, or the file exists and `force` is not set.
    """
    from mmengine.config import Config

    path = Path(file)
    if path.suffix != ".py":
        raise FileError(
            f"A configuration is a Python file, {path} is not named as one.",
            "Name it NAME.py.",
        )
    if path.exists() and not force:
        raise FileError(
            f"{path} exists already.",
            "Choose another name, or pass force=True to replace it.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.py")
    try:
        Config(cfg).dump(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _one_of(name: str, value: str, choices: Sequence[str] | dict[str, Any]) -> None:
    if value not in choices:
        known = ", ".join(choices)
        hint = did_you_mean(value, choices)
        raise ModelError(
            f"mask_rcnn has no {name}={value!r}.", f"{hint} It takes: {known}.".strip()
        )


def _base(backbone: str, with_fpn: bool) -> dict[str, Any]:
    """MMDetection's own configuration that is nearest."""
    if not with_fpn and backbone in _BASES:
        raise ModelError(
            f"{backbone} needs with_fpn=True.", "Without FPN, use one of the ResNets."
        )
    from cvtk.zoo import find

    file = find(
        _BASES.get(backbone, _FPN_BASE) if with_fpn else _C4_BASE, "segm"
    ).config
    from mmengine.config import Config

    cfg: dict[str, Any] = Config.fromfile(file).to_dict()
    if not with_fpn:
        # Made for Caffe's weights; cvtk's ResNets start from PyTorch's, which know RGB and deviations.
        like = find(_FPN_BASE, "segm").config
        cfg["model"]["data_preprocessor"] = Config.fromfile(like).to_dict()["model"][
            "data_preprocessor"
        ]
    return cfg


def _set_backbone(model: dict[str, Any], name: str, with_fpn: bool) -> None:
    if name in _BASES:
        return
    parts = dict(_BACKBONES[name])
    init = {"type": "Pretrained", "checkpoint": parts.pop("checkpoint")}
    if "prefix" in parts:
        init["prefix"] = parts.pop("prefix")
    norm = {"type": "BN", "requires_grad": True}
    model["backbone"].update(parts, style="pytorch", norm_cfg=norm, init_cfg=init)
    channels = [c // 4 for c in _CHANNELS] if name == "resnet18" else _CHANNELS
    if with_fpn:
        model["neck"]["in_channels"] = channels
        return
    roi = model["roi_head"]
    fifth = {
        "depth": parts["depth"],
        "style": "pytorch",
        "norm_cfg": norm,
        "init_cfg": dict(init),
    }
    roi["shared_head"].update(fifth)
    model["rpn_head"].update(in_channels=channels[2], feat_channels=channels[2])
    roi["bbox_roi_extractor"]["out_channels"] = channels[2]
    roi["bbox_head"]["in_channels"] = roi["mask_head"]["in_channels"] = channels[3]


def _set_dcn(backbone: dict[str, Any], name: str) -> None:
    if name in ("resnet18", "hrnet_w18"):
        raise ModelError(
            f"{name} has no deformable convolutions.",
            "Use with_dcn=False or another backbone.",
        )
    backbone["dcn"] = {"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": False}
    backbone["stage_with_dcn"] = [False, True, True, True][
        : backbone.get("num_stages", 4)
    ]


def _set_fpn_channels(model: dict[str, Any], channels: int) -> None:
    roi = model["roi_head"]
    model["neck"]["out_channels"] = channels
    model["rpn_head"].update(in_channels=channels, feat_channels=channels)
    for part in ("bbox_roi_extractor", "mask_roi_extractor"):
        roi[part]["out_channels"] = channels
    for part in ("bbox_head", "mask_head"):
        roi[part]["in_channels"] = channels


def _set_anchors(
    generator: dict[str, Any],
    with_fpn: bool,
    ratios: Sequence[float],
    sizes: Sequence[float],
) -> None:
    """Anchors by their size in pixels: MMDetection has size = base size * scale."""
    generator["ratios"] = [float(r) for r in ratios]
    levels = len(generator["strides"])
    if with_fpn and len(sizes) != levels:
        raise ModelError(
            f"mask_rcnn got {len(sizes)} anchor_sizes.",
            f"With FPN give {levels}, one a level.",
        )
    generator["base_sizes"] = [float(s) for s in sizes] if with_fpn else [1.0]
    generator["scales"] = [1.0] if with_fpn else [float(s) for s in sizes]


def _set_input_channels(cfg: dict[str, Any], channels: int) -> None:
    cfg["model"]["backbone"]["in_channels"] = channels
    # One value serves all channels; there are no published ones for other than photographs.
    cfg["model"]["data_preprocessor"].update(mean=[127.5], std=[57.4], bgr_to_rgb=False)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for step in cfg[loader]["dataset"]["pipeline"]:
            if step["type"] == "LoadImageFromFile":
                step["color_type"] = "grayscale" if channels == 1 else "unchanged"
