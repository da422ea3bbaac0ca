"""Mask R-CNN from its parts: a configuration from the parameters that PaddleX's `MaskRCNN` has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cvtk.errors import FileError, ModelError, did_you_mean
from cvtk.io import atomic_write

Config = dict[str, Any]

# Channels after each of the four stages of a ResNet with bottleneck blocks; ResNet-18 has a quarter of them.
_CHANNELS = [256, 512, 1024, 2048]

# What is set in the backbone, and the ImageNet weights that it starts from. ResNetV1d are mmpretrain's names.
_RESNETS: dict[str, tuple[Config, Config]] = {
    "resnet18": ({"depth": 18}, {"checkpoint": "torchvision://resnet18"}),
    "resnet50": ({"depth": 50}, {"checkpoint": "torchvision://resnet50"}),
    "resnet101": ({"depth": 101}, {"checkpoint": "torchvision://resnet101"}),
    "resnet50_vd": (
        {"type": "ResNetV1d", "depth": 50},
        {"checkpoint": "mmcls://resnet50_v1d", "prefix": "backbone."},
    ),
    "resnet101_vd": (
        {"type": "ResNetV1d", "depth": 101},
        {"checkpoint": "mmcls://resnet101_v1d", "prefix": "backbone."},
    ),
}
# The other backbones, with the configurations of MMDetection that have them.
_OTHER_BACKBONES = {
    "resnext101": "mask-rcnn_x101-32x4d_fpn_1x_coco",
    "hrnet_w18": "mask-rcnn_hrnetv2p-w18-1x_coco",
}
# The configurations that all ResNets share, with and without a feature pyramid.
_FPN_BASE = "mask-rcnn_r50_fpn_1x_coco"
_C4_BASE = "mask-rcnn_r50-caffe-c4_1x_coco"


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
        with_dcn: Whether stages 3 to 5 use deformable convolutions v2; only for backbones with bottleneck blocks.
        aspect_ratios: Height divided by width of the anchors.
        anchor_sizes: Square root of the anchors' areas, in pixels: with FPN one for each of its five levels,
            finest first; without, any number of them at every place.
        rpn_cls_loss: `cross_entropy` or `focal`, for objects against background in the proposals.
        rpn_focal_loss_alpha: Weight of objects in the focal loss, 0 to 1.
        rpn_focal_loss_gamma: How much less the focal loss counts easy examples, 0 or more.
        rcnn_bbox_loss: `smooth_l1` or `ciou` (on decoded boxes, weight 12, as MMDetection has it).
        rcnn_nms: `nms` or `soft_nms` (Gaussian: score * exp(-iou**2 / softnms_sigma)).
        keep_top_k: Most objects per image; with `soft_nms` 300 is usual.
        nms_threshold: IoU above which the object of lower score is dropped, 0 to 1; no effect with `soft_nms`.
        score_threshold: Lowest score, 0 to 1; with `soft_nms` 0.01 is usual.
        softnms_sigma: Width of the Gaussian of `soft_nms`, above 0.
        bbox_assigner: How proposals are sampled to train the heads: `random`, or `libra`
            (IoU-balanced, https://arxiv.org/abs/1904.02701), for objects that cover little of the image.
        fpn_num_channels: Channels of the feature pyramid.
        input_channels: Channels of the images; unless they are 3, images are read unchanged (1: in grey) and
            scaled by one mean and standard deviation.
        rpn_batch_size_per_im: Anchors per image that the proposals learn from.
        rpn_fg_fraction: Highest fraction of them that are objects, 0 to 1.
        test_pre_nms_top_n: Proposals before non-maximum suppression at prediction, with FPN per level; None:
            MMDetection's 1000 with FPN, 6000 without.
        test_post_nms_top_n: Proposals after it.

    Returns:
        A complete MMEngine configuration as plain dicts and lists; `save_config` writes it to a file.

    Raises:
        ModelError: A value that is none of those above, or a combination that does not exist.
        InstallError: MMDetection is not installed.
    """
    _require_choice("backbone", backbone, [*_RESNETS, *_OTHER_BACKBONES])
    _require_choice("rpn_cls_loss", rpn_cls_loss, ["cross_entropy", "focal"])
    _require_choice("rcnn_bbox_loss", rcnn_bbox_loss, ["smooth_l1", "ciou"])
    _require_choice("rcnn_nms", rcnn_nms, ["nms", "soft_nms"])
    _require_choice("bbox_assigner", bbox_assigner, ["random", "libra"])
    cfg = _base_config(backbone, with_fpn)
    model = cfg["model"]
    rpn, roi = model["rpn_head"], model["roi_head"]
    learning, predicting = model["train_cfg"], model["test_cfg"]
    if backbone in _RESNETS:
        _set_resnet(model, backbone, with_fpn)
    if with_dcn:
        _set_dcn(model["backbone"], backbone)
    if with_fpn:
        _set_fpn_channels(model, fpn_num_channels)
    if input_channels != 3:
        _set_input_channels(cfg, input_channels)
    _set_anchors(rpn["anchor_generator"], with_fpn, aspect_ratios, anchor_sizes)
    for head in ("bbox_head", "mask_head"):
        roi[head]["num_classes"] = num_classes
    if rpn_cls_loss == "focal":
        rpn["loss_cls"] = _focal_loss(rpn_focal_loss_alpha, rpn_focal_loss_gamma)
    _set_bbox_loss(roi["bbox_head"], rcnn_bbox_loss)
    learning["rpn"]["sampler"]["num"] = rpn_batch_size_per_im
    learning["rpn"]["sampler"]["pos_fraction"] = rpn_fg_fraction
    if bbox_assigner == "libra":
        learning["rcnn"]["sampler"] = _libra_sampler(learning["rcnn"]["sampler"])
    if test_pre_nms_top_n is not None:
        predicting["rpn"]["nms_pre"] = test_pre_nms_top_n
    predicting["rpn"]["max_per_img"] = test_post_nms_top_n
    nms: Config = {"type": "nms", "iou_threshold": nms_threshold}
    if rcnn_nms == "soft_nms":
        nms = _soft_nms(softnms_sigma, score_threshold)
    predicting["rcnn"].update(
        score_thr=score_threshold, max_per_img=keep_top_k, nms=nms
    )
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
        FileError: The name does not end in `.py`, the file exists and `force` is not set, or it cannot be
            written.
    """
    from mmengine.config import Config as MMEngineConfig

    path = Path(file)
    if path.suffix != ".py":
        raise FileError(
            f"A configuration is a Python file; {path} is not named like one.",
            "Name it NAME.py.",
        )
    with atomic_write(path, force=force) as part:
        MMEngineConfig(cfg).dump(part)
    return path


def _require_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        hint = did_you_mean(value, choices)
        raise ModelError(
            f"mask_rcnn has no {name}={value!r}.",
            f"{hint} It takes: {', '.join(choices)}.".strip(),
        )


def _base_config(backbone: str, with_fpn: bool) -> Config:
    """MMDetection's own configuration that comes nearest."""
    if with_fpn:
        return _read_config(_OTHER_BACKBONES.get(backbone, _FPN_BASE))
    if backbone in _OTHER_BACKBONES:
        raise ModelError(
            f"{backbone} needs with_fpn=True.", "Without FPN, use one of the ResNets."
        )
    cfg = _read_config(_C4_BASE)
    # It is made for Caffe's weights. Here the ResNets start from PyTorch's, which were trained on RGB images
    # divided by their standard deviation.
    with_pytorch = _read_config(_FPN_BASE)["model"]
    cfg["model"]["data_preprocessor"] = with_pytorch["data_preprocessor"]
    return cfg


def _read_config(name: str) -> Config:
    from cvtk.zoo import find

    file = find(name, "segm").config
    from mmengine.config import Config as MMEngineConfig

    cfg: Config = MMEngineConfig.fromfile(file).to_dict()
    return cfg


def _set_resnet(model: Config, name: str, with_fpn: bool) -> None:
    parts, start = _RESNETS[name]
    common = {
        "style": "pytorch",
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "init_cfg": {"type": "Pretrained", **start},
    }
    model["backbone"].update(parts, **common)
    channels = [c // 4 for c in _CHANNELS] if name == "resnet18" else _CHANNELS
    if with_fpn:
        model["neck"]["in_channels"] = channels
    else:
        model["roi_head"]["shared_head"].update(common, depth=parts["depth"])
        _set_c4_channels(model, *channels[2:])


def _set_c4_channels(model: Config, fourth: int, fifth: int) -> None:
    """Without a feature pyramid, proposals see the fourth stage, and the heads the fifth."""
    roi = model["roi_head"]
    model["rpn_head"].update(in_channels=fourth, feat_channels=fourth)
    roi["bbox_roi_extractor"]["out_channels"] = fourth
    for head in ("bbox_head", "mask_head"):
        roi[head]["in_channels"] = fifth


def _set_fpn_channels(model: Config, channels: int) -> None:
    roi = model["roi_head"]
    model["neck"]["out_channels"] = channels
    model["rpn_head"].update(in_channels=channels, feat_channels=channels)
    for part in ("bbox_roi_extractor", "mask_roi_extractor"):
        roi[part]["out_channels"] = channels
    for head in ("bbox_head", "mask_head"):
        roi[head]["in_channels"] = channels


def _set_dcn(backbone: Config, name: str) -> None:
    if name in ("resnet18", "hrnet_w18"):
        raise ModelError(
            f"{name} has no deformable convolutions.",
            "Use with_dcn=False or another backbone.",
        )
    stages = [False, True, True, True]
    backbone["dcn"] = {"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": False}
    backbone["stage_with_dcn"] = stages[: backbone.get("num_stages", 4)]


def _set_input_channels(cfg: Config, channels: int) -> None:
    cfg["model"]["backbone"]["in_channels"] = channels
    # One value serves all channels: published ones exist for photographs only.
    cfg["model"]["data_preprocessor"].update(mean=[127.5], std=[57.4], bgr_to_rgb=False)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for step in cfg[loader]["dataset"]["pipeline"]:
            if step["type"] == "LoadImageFromFile":
                step["color_type"] = "grayscale" if channels == 1 else "unchanged"


def _set_anchors(
    generator: Config,
    with_fpn: bool,
    ratios: Sequence[float],
    sizes: Sequence[float],
) -> None:
    """Sets anchors by their size in pixels; in MMDetection, that is base size times scale."""
    generator["ratios"] = [float(ratio) for ratio in ratios]
    levels = len(generator["strides"])
    if with_fpn and len(sizes) != levels:
        raise ModelError(
            f"mask_rcnn got {len(sizes)} anchor_sizes.",
            f"With FPN give {levels}, one per level.",
        )
    in_pixels = [float(size) for size in sizes]
    generator["base_sizes"] = in_pixels if with_fpn else [1.0]
    generator["scales"] = [1.0] if with_fpn else in_pixels


def _focal_loss(alpha: float, gamma: float) -> Config:
    return {
        "type": "FocalLoss",
        "use_sigmoid": True,
        "loss_weight": 1.0,
        "alpha": alpha,
        "gamma": gamma,
    }


def _set_bbox_loss(head: Config, loss: str) -> None:
    if loss == "smooth_l1":
        head["loss_bbox"] = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0}
    else:
        # One loss per box is small beside one for each of its four numbers: hence the weight.
        head["loss_bbox"] = {"type": "CIoULoss", "loss_weight": 12.0}
        head["reg_decoded_bbox"] = True


def _libra_sampler(plain: Config) -> Config:
    """As many proposals as before, balanced by object, and the background by its IoU with objects."""
    return {
        "type": "CombinedSampler",
        "num": plain["num"],
        "pos_fraction": plain["pos_fraction"],
        "add_gt_as_proposals": True,
        "pos_sampler": {"type": "InstanceBalancedPosSampler"},
        "neg_sampler": {
            "type": "IoUBalancedNegSampler",
            "floor_thr": -1,
            "floor_fraction": 0,
            "num_bins": 3,
        },
    }


def _soft_nms(sigma: float, min_score: float) -> Config:
    """Lowers scores instead of dropping objects; what falls below the lowest score is never used."""
    return {
        "type": "soft_nms",
        "method": "gaussian",
        "sigma": sigma,
        "min_score": min_score,
    }
