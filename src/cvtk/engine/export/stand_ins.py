"""Functions of MMDetection in a form that can be traced, in their place while a network is exported.

Tracing runs a network once and records what is done with tensors. What Python decides meanwhile, such as which
branch an `if` takes or how many boxes are left, is recorded as it was for that one image. The functions below do
the same as those they stand for, on any number of boxes, and without writing into parts of a tensor.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cvtk.engine.export import mask_heads, operators
from cvtk.errors import ModelError
from cvtk.recipe.speed import masks_of_kernels

_split = Tensor.split
_attention = F.multi_head_attention_forward

# In the settings of `batched_nms`: whether boxes without an area are left out, as by `min_bbox_size=0`.
WITHOUT_EMPTY = "without_empty"


class Threshold:
    """A number of the test configuration that the exported network takes as an input.

    MMDetection copies its configuration and compares: `scores > threshold`. A tensor would lose its trace in the copy.
    """

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Threshold:
        return self

    def __lt__(self, scores: Tensor) -> Tensor:
        """What Python asks for `scores > threshold`."""
        return scores > self.value

    def __le__(self, scores: Tensor) -> Tensor:
        """What Python asks for `scores >= threshold`."""
        return scores >= self.value


class Shape(tuple[Any, Any]):
    """The height and the width of a picture, traced numbers that stay so when MMDetection copies what it is told."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shape:
        return self


def batched_nms(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    nms_cfg: dict[str, Any] | None,
    class_agnostic: bool = False,
) -> tuple[Tensor, Tensor]:
    """`mmcv.ops.batched_nms`: boxes with their scores (K, 5), best first, and their indices (K,)."""
    if nms_cfg is None:
        scores, order = scores.sort(descending=True)
        return torch.cat([boxes[order], scores[:, None]], -1), order
    kind = nms_cfg.get("type", "nms")
    if kind != "nms":
        raise ModelError(f"Its suppression of duplicates, {kind}, has no operator.")
    apart = boxes
    if not nms_cfg.get("class_agnostic", class_agnostic):
        # Classes are moved so far apart that none suppresses another. With no box left there is no largest value.
        largest = torch.cat([boxes.reshape(-1), boxes.new_zeros(1)]).max()
        apart = boxes + (idxs.to(boxes) * (largest + 1))[:, None]
    threshold = float(nms_cfg["iou_threshold"])
    if nms_cfg.get(WITHOUT_EMPTY):
        [full] = (boxes[:, 2:] > boxes[:, :2]).all(1).nonzero(as_tuple=True)
        keep = full[torch.ops.torchvision.nms(apart[full], scores[full], threshold)]
    else:
        keep = torch.ops.torchvision.nms(apart, scores, threshold)
    if nms_cfg.get("max_num", -1) > 0:
        keep = keep[: nms_cfg["max_num"]]
    return torch.cat([boxes[keep], scores[keep][:, None]], -1), keep


def filter_scores_and_topk(
    scores: Tensor, score_thr: Any, topk: int, results: Any = None
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """`mmdet.models.utils.filter_scores_and_topk`: the best `topk` of the scores (N, classes) above a threshold."""
    above = scores > score_thr
    places = above.nonzero()
    kept, order = scores[above].sort(descending=True)
    places = places[order[:topk]]
    rows, labels = places[:, 0], places[:, 1]
    if isinstance(results, dict):
        results = {name: values[rows] for name, values in results.items()}
    elif isinstance(results, list):
        results = [values[rows] for values in results]
    elif results is not None:
        results = results[rows]
    return kept[:topk], labels, rows, results


def distance2bbox(points: Tensor, distance: Tensor, max_shape: Any = None) -> Tensor:
    """`mmdet.structures.bbox.distance2bbox`: boxes (..., 4) from points and distances to their four sides."""
    start = points[..., :2] - distance[..., :2]
    end = points[..., :2] + distance[..., 2:]
    return _clipped(torch.cat([start, end], -1), max_shape)


def delta2bbox(
    rois: Tensor,
    deltas: Tensor,
    means: Any = (0.0, 0.0, 0.0, 0.0),
    stds: Any = (1.0, 1.0, 1.0, 1.0),
    max_shape: Any = None,
    wh_ratio_clip: float = 16 / 1000,
    clip_border: bool = True,
    add_ctr_clamp: bool = False,
    ctr_clamp: int = 32,
) -> Tensor:
    """`mmdet...delta2bbox`: boxes (N, classes * 4) from boxes (N, 4) and what is to change (N, classes * 4)."""
    classes = deltas.shape[1] // 4
    delta = deltas.reshape(-1, classes, 4)
    delta = delta * delta.new_tensor(stds) + delta.new_tensor(means)
    box = rois[:, None, :]
    centre, size = (box[..., :2] + box[..., 2:]) * 0.5, box[..., 2:] - box[..., :2]
    shift, growth = size * delta[..., :2], delta[..., 2:]
    limit = abs(math.log(wh_ratio_clip))
    if add_ctr_clamp:
        shift, growth = shift.clamp(-ctr_clamp, ctr_clamp), growth.clamp(max=limit)
    else:
        growth = growth.clamp(-limit, limit)
    half = size * growth.exp() * 0.5
    boxes = torch.cat([centre + shift - half, centre + shift + half], -1)
    boxes = _clipped(boxes, max_shape if clip_border else None)
    return boxes.reshape(-1, classes * 4)


def _clipped(boxes: Tensor, max_shape: Any) -> Tensor:
    """Boxes (..., 4) inside an image of this height and width, which may be traced numbers."""
    if max_shape is None:
        return boxes
    height, width = (torch.as_tensor(side).to(boxes) for side in max_shape[:2])
    limits = torch.stack([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


def extract_from_levels(
    self: Any, feats: Any, rois: Tensor, roi_scale_factor: float | None = None
) -> Tensor:
    """`SingleRoIExtractor.forward`: each region from its level, with any number of regions in each level."""
    if roi_scale_factor is not None:
        rois = self.roi_rescale(rois, roi_scale_factor)
    levels = self.map_roi_levels(rois, len(feats))
    found, places = [], []
    for number, (layer, features) in enumerate(
        zip(self.roi_layers, feats, strict=True)
    ):
        [place] = (levels == number).nonzero(as_tuple=True)
        found.append(layer(features, rois[place]))
        places.append(place)
    return torch.cat(found)[torch.cat(places).argsort()]


def decode_init_proposals(
    self: Any, x: Any, batch_data_samples: list[Any]
) -> list[Any]:
    """`EmbeddingRPNHead._decode_init_proposals`: the learned boxes and features that Sparse R-CNN starts with.

    The original makes the size of the picture a constant.
    """
    from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
    from mmengine.structures import InstanceData

    boxes, features = (
        self.init_proposal_bboxes.weight,
        self.init_proposal_features.weight,
    )
    [sample] = batch_data_samples
    height, width = (torch.as_tensor(side).to(boxes) for side in sample.img_shape[:2])
    size = torch.stack([width, height, width, height])
    return [
        InstanceData(
            bboxes=bbox_cxcywh_to_xyxy(boxes) * size,
            imgs_whwh=size.repeat(self.num_proposals, 1),
            features=features.clone(),
        )
    ]


def refine_bboxes(
    self: Any,
    sampling_results: Any,
    bbox_results: dict[str, Any],
    batch_img_metas: list[Any],
) -> list[Any]:
    """`BBoxHead.refine_bboxes`: the boxes of the next stage; without those of a training, none is left out."""
    from mmengine.structures import InstanceData

    [about] = batch_img_metas
    scores, boxes = bbox_results["cls_score"], bbox_results["rois"][:, 1:]
    labels = scores[:, : self.num_classes].argmax(1)
    refined = self.regress_by_class(boxes, labels, bbox_results["bbox_pred"], about)
    return [InstanceData(bboxes=refined)]


def score_voting(
    self: Any,
    det_bboxes: Tensor,
    det_labels: Tensor,
    mlvl_bboxes: Tensor,
    mlvl_nms_scores: Tensor,
    score_thr: Any,
) -> tuple[Tensor, Tensor]:
    """`PAAHead.score_voting`: each box (K, 5) becomes the mean of those of its class that it overlaps.

    The original goes through them one by one, and gives them class by class.
    """
    from mmdet.structures.bbox import bbox_overlaps

    above = mlvl_nms_scores > score_thr
    places = above.nonzero()
    boxes, labels = mlvl_bboxes[places[:, 0]], places[:, 1]
    ious = bbox_overlaps(det_bboxes[:, :4], boxes)
    votes = (ious > 0.01) & (det_labels[:, None] == labels)
    weights = votes * torch.exp(-((1 - ious) ** 2) / 0.025) * mlvl_nms_scores[above]
    voted = (weights @ boxes) / weights.sum(1, keepdim=True)
    return torch.cat([voted, det_bboxes[:, 4:]], 1), det_labels


def split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`Tensor.split`, for which a tensor in one part is that part, however long.

    MMDetection splits what it finds into the parts of each image by their lengths, and here there is one image.
    """
    if isinstance(split_size, (list, tuple)) and len(split_size) == 1:
        return (self,)
    parts: tuple[Tensor, ...] = _split(self, split_size, dim)
    return parts


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
) -> Any:
    """`multi_head_attention_forward`, which takes another way where the three are one; that way, ONNX does not have."""
    return _attention(query, key, value.clone(), *args, **kwargs)


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Puts the functions of this module in the place of those they stand for, wherever MMDetection imported them."""
    import mmcv.ops
    from mmdet.models import utils
    from mmdet.models.dense_heads import (
        CondInstMaskHead,
        EmbeddingRPNHead,
        PAAHead,
        RTMDetInsHead,
        YOLACTProtonet,
    )
    from mmdet.models.roi_heads import SCNetRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    from mmdet.models.task_modules.coders import delta_xywh_bbox_coder
    from mmdet.structures import bbox

    functions: dict[Callable[..., Any], Callable[..., Any]] = {
        mmcv.ops.batched_nms: batched_nms,
        mmcv.ops.carafe: operators.carafe,
        mmcv.ops.CARAFEPack.kernel_normalizer: operators.kernel_normalizer,
        mmcv.ops.deform_conv2d: operators.deform_conv2d,
        mmcv.ops.modulated_deform_conv2d: operators.modulated_deform_conv2d,
        utils.filter_scores_and_topk: filter_scores_and_topk,
        bbox.distance2bbox: distance2bbox,
        delta_xywh_bbox_coder.delta2bbox: delta2bbox,
        RTMDetInsHead._mask_predict_by_feat_single: masks_of_kernels,
        SingleRoIExtractor.forward: extract_from_levels,
        CondInstMaskHead.dynamic_conv_forward: mask_heads.convolve_each,
        CondInstMaskHead.parse_dynamic_params: mask_heads.parse_dynamic_params,
        YOLACTProtonet.crop_mask_preds: mask_heads.crop_to_boxes,
        SCNetRoIHead._fuse_glbctx: mask_heads.add_context,
        EmbeddingRPNHead._decode_init_proposals: decode_init_proposals,
        BBoxHead.refine_bboxes: refine_bboxes,
        PAAHead.score_voting: score_voting,
        Tensor.split: split,
        F.adaptive_max_pool2d: operators.adaptive_max_pool2d,
        F.group_norm: operators.group_norm,
        F.multi_head_attention_forward: multi_head_attention_forward,
    }
    heads = [RTMDetInsHead, CondInstMaskHead, YOLACTProtonet, SingleRoIExtractor]
    heads += [SCNetRoIHead, EmbeddingRPNHead, BBoxHead, PAAHead, mmcv.ops.CARAFEPack]
    libraries = "mmdet.", "mmcv.ops"
    modules = [m for name, m in sys.modules.items() if name.startswith(libraries)]
    owners = [*modules, *heads, Tensor, F]
    with contextlib.ExitStack() as replaced:
        for owner in owners:
            for name, original in list(vars(owner).items()):
                if callable(original) and original in functions:
                    setattr(owner, name, functions[original])
                    replaced.callback(setattr, owner, name, original)
        yield
