"""Names of architectures in other toolboxes, and what they are called here or what comes nearest."""

from __future__ import annotations

import dataclasses
import math
import re

from cvtk.zoo.index import Entry, all_entries, catalogue


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """One model of another toolbox.

    Attributes:
        name: Its name there.
        toolbox: The toolbox.
        near: Models of the catalogue, the nearest first; empty where AP and size decide.
        differs: A clause on what is not here of it; empty where the first of `near` is the same architecture.
        mask_ap: Published mask AP on COCO 2017 val, in per cent; None where `near` decides.
        size_mb: Size of its weights in MB; None where `near` decides.
    """

    name: str
    toolbox: str
    near: tuple[str, ...] = ()
    differs: str = ""
    mask_ap: float | None = None
    size_mb: float | None = None

    @property
    def params(self) -> float | None:
        """Parameters in millions: weights are stored in 4 bytes each."""
        return None if self.size_mb is None else self.size_mb / 4


def _paddle(name: str, mask_ap: float, size_mb: float) -> Elsewhere:
    return Elsewhere(name, "PaddleX", mask_ap=mask_ap, size_mb=size_mb)


def _paddle_vd(name: str, near: str, backbone: str) -> Elsewhere:
    differs = (
        f'it has a -vd backbone, which cvtk.mask_rcnn(backbone="{backbone}") builds'
    )
    return Elsewhere(name, "PaddleX", (near,), differs)


def _paddle_backbone(name: str, backbone: str) -> Elsewhere:
    differs = f'it is a backbone; cvtk.mask_rcnn(backbone="{backbone}") builds Mask R-CNN with it'
    return Elsewhere(name, "PaddleX", differs=differs)


def _detectron(name: str, near: str) -> Elsewhere:
    return Elsewhere(name, "maskrcnn-benchmark", (near,))


# PaddleX: its page of the module for instance segmentation, "supported models". YOLACT: the table of weights in
# github.com/dbolya/yolact. maskrcnn-benchmark: the configurations in github.com/facebookresearch/maskrcnn-benchmark.
# Of a name that several begin with, the first here is meant.
MODELS = (
    _paddle("Mask-RT-DETR-S", 41.0, 51.8),
    _paddle("Mask-RT-DETR-M", 42.7, 66.6),
    _paddle("Mask-RT-DETR-L", 45.7, 113.6),
    _paddle("Mask-RT-DETR-X", 47.5, 237.5),
    _paddle("Mask-RT-DETR-H", 50.6, 449.9),
    _paddle("PP-YOLOE_seg-S", 32.5, 31.5),
    Elsewhere("MaskRCNN-ResNet50", "PaddleX", ("mask-rcnn_r50-caffe-c4_1x_coco",)),
    Elsewhere("MaskRCNN-ResNet50-FPN", "PaddleX", ("mask-rcnn_r50_fpn_2x_coco",)),
    Elsewhere("MaskRCNN-ResNet101-FPN", "PaddleX", ("mask-rcnn_r101_fpn_2x_coco",)),
    Elsewhere(
        "Cascade-MaskRCNN-ResNet50-FPN",
        "PaddleX",
        ("cascade-mask-rcnn_r50_fpn_20e_coco",),
    ),
    _paddle_vd("MaskRCNN-ResNet50-vd-FPN", "mask-rcnn_r50_fpn_2x_coco", "resnet50_vd"),
    _paddle_vd(
        "MaskRCNN-ResNet101-vd-FPN", "mask-rcnn_r101_fpn_2x_coco", "resnet101_vd"
    ),
    Elsewhere(
        "MaskRCNN-ResNeXt101-vd-FPN",
        "PaddleX",
        ("mask-rcnn_x101-64x4d_fpn_2x_coco",),
        "it has a -vd backbone",
    ),
    Elsewhere(
        "Cascade-MaskRCNN-ResNet50-vd-SSLDv2-FPN",
        "PaddleX",
        ("cascade-mask-rcnn_r50-rsb-pre_fpn_1x_coco",),
        "it has a -vd backbone with SSLD weights",
    ),
    Elsewhere(
        "paddlex.det.MaskRCNN",
        "PaddleX",
        differs="cvtk.mask_rcnn builds Mask R-CNN from the same parameters",
    ),
    _paddle_backbone("ResNet50_vd", "resnet50_vd"),
    _paddle_backbone("ResNet50_vd_ssld", "resnet50_vd"),
    _paddle_backbone("ResNet101_vd", "resnet101_vd"),
    Elsewhere("yolact_base", "YOLACT", ("yolact_r101_1xb8-55e_coco",)),
    Elsewhere("yolact_resnet50", "YOLACT", ("yolact_r50_1xb8-55e_coco",)),
    Elsewhere(
        "yolact_im700",
        "YOLACT",
        ("yolact_r101_1xb8-55e_coco",),
        "it takes images of 700 pixels, as --image_size 700 does",
    ),
    Elsewhere(
        "yolact_darknet53",
        "YOLACT",
        ("yolact_r50_1xb8-55e_coco",),
        "it has a Darknet-53 backbone",
    ),
    Elsewhere(
        "yolact_plus_base",
        "YOLACT++",
        ("yolact_r101_1xb8-55e_coco",),
        "it has deformable convolutions and mask rescoring",
    ),
    Elsewhere(
        "yolact_plus_resnet50",
        "YOLACT++",
        ("yolact_r50_1xb8-55e_coco",),
        "it has deformable convolutions and mask rescoring",
    ),
    _detectron("e2e_mask_rcnn_R_50_FPN_1x", "mask-rcnn_r50-caffe_fpn_1x_coco"),
    _detectron("e2e_mask_rcnn_R_50_C4_1x", "mask-rcnn_r50-caffe-c4_1x_coco"),
    _detectron("e2e_mask_rcnn_R_101_FPN_1x", "mask-rcnn_r101-caffe_fpn_1x_coco"),
    _detectron("e2e_mask_rcnn_X_101_32x8d_FPN_1x", "mask-rcnn_x101-32x8d_fpn_1x_coco"),
    _detectron("e2e_faster_rcnn_R_50_FPN_1x", "faster-rcnn_r50-caffe_fpn_1x_coco"),
    _detectron("e2e_faster_rcnn_R_50_C4_1x", "faster-rcnn_r50-caffe_c4-1x_coco"),
    _detectron("e2e_faster_rcnn_R_101_FPN_1x", "faster-rcnn_r101-caffe_fpn_1x_coco"),
    _detectron(
        "e2e_faster_rcnn_X_101_32x8d_FPN_1x", "faster-rcnn_x101-32x8d_fpn_ms-3x_coco"
    ),
)
# "mask" or "maskrcnn" mean models that are here; a name that begins so means another toolbox's alone.
_FOREIGN_STARTS = ("maskrt", "ppyoloe", "yolactpl", "e2e")
# What files and configurations have behind the name: `yolact_base_config`, `yolact_base_54_800000.pth`.
_ENDINGS = re.compile(r"(_config|_\d+_\d+)?(\.(pth|pkl|yaml|py))?$")


def elsewhere(name: str) -> Elsewhere | None:
    """The model of another toolbox that a name, or the start of one, means.

    Args:
        name: E.g. `Mask-RT-DETR-L`, `mask rt-detr` (then the smallest of them), `YOLACT++` or
            `e2e_mask_rcnn_R_50_C4_1x`.

    Returns:
        The model, or None where the name means none of them.
    """
    wanted = _letters(_ENDINGS.sub("", name.strip()))
    by_letters = {_letters(model.name): model for model in MODELS}
    if wanted in by_letters or not wanted.startswith(_FOREIGN_STARTS):
        return by_letters.get(wanted)
    return next((m for text, m in by_letters.items() if text.startswith(wanted)), None)


def _letters(name: str) -> str:
    """Letters and digits alone, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("++", "plus"))


def nearest(model: Elsewhere, n: int = 5) -> list[Entry]:
    """The models of the catalogue that are nearest to one of another toolbox.

    Where AP and size decide, the distance is the difference in points of mask AP, plus twice the binary
    logarithm of the ratio of sizes: half the size counts as much as two points of AP. Where the number of
    parameters is unknown, a factor of two is assumed.

    Args:
        model: What to come near to.
        n: The most entries to return.

    Returns:
        Entries, nearest first; by AP and size, only those with AP on COCO and a checkpoint.
    """
    ap, size = model.mask_ap, model.params
    if ap is None or size is None:
        by_name = {entry.name: entry for entry in all_entries()}
        return [by_name[name] for name in model.near if name in by_name]

    def distance(entry: Entry) -> float:
        ratio = abs(math.log2(entry.params / size)) if entry.params else 1.0
        return abs((entry.mask_ap or 0.0) - ap) + 2.0 * ratio

    usable = [
        e
        for e in catalogue()
        if e.task == "segm" and e.mask_ap and e.weights_url and e.dataset == "COCO"
    ]
    return sorted(usable, key=distance)[:n]


def answer(model: Elsewhere) -> str:
    """What to tell somebody who asks for a model of another toolbox: what it is called here, or what is near."""
    entries = nearest(model, n=2)
    names = " or ".join(entry.name for entry in entries)
    if model.mask_ap is not None:
        return (
            f"{model.name} exists only in {model.toolbox} (mask AP {model.mask_ap}, weights {model.size_mb:g} MB,"
            f" about {model.params:.0f} M parameters). Nearest in mask AP and size: {names}."
        )
    if not names:
        return f"{model.name} is no model of the catalogue: {model.differs}."
    if not model.differs:
        text = f"{model.name} of {model.toolbox} is called {names} here."
        if entries[0].weights_url is None:
            text += " No checkpoint is published: train it with --weights imagenet."
        return text
    return f"{model.name} of {model.toolbox} is not here: {model.differs}. Nearest: {names}."
