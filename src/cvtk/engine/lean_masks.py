"""Masks of large images, enlarged to the image and packed as RLE a few at a time.

MMDetection enlarges the masks of all objects of an image together, as numbers: 100 objects in a photograph of
12 megapixels take 10 GB. Here its heads are told to go through small groups, or through the part of the image in which
an object lies. The masks are the same; heads that are not known here stay as they are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.data.masks import boxes_around
from cvtk.io import CocoRLE, encode_mask, encode_part

Size: TypeAlias = tuple[int, int]

MASKS_AT_ONCE = 8


def use_lean_masks(network: Any) -> None:
    """Lets a network give its masks as a list of RLE, instead of a tensor (N, H, W)."""
    from mmdet.models import dense_heads
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.seg_heads import MaskFormerFusionHead

    from cvtk.pose2seg.network import Pose2Seg

    # Of each kind of head, the function that makes the masks, and what takes its place.
    ways: dict[type, tuple[str, Callable[..., Any]]] = {
        FCNMaskHead: ("_predict_by_feat_single", _in_groups),
        dense_heads.YOLACTProtonet: ("_predict_by_feat_single", _in_groups),
        dense_heads.CondInstMaskHead: ("_predict_by_feat_single", _in_groups),
        dense_heads.SOLOHead: ("_predict_by_feat_single", _of_solo),
        dense_heads.RTMDetInsHead: ("_bbox_mask_post_process", _of_rtmdet),
        MaskFormerFusionHead: ("predict", _of_queries),
        Pose2Seg: ("_found", _of_poses),
    }
    for head in network.modules():
        for kind, (name, way) in ways.items():
            if isinstance(head, kind) and _is_known(getattr(head, name)):
                original = getattr(head, name)
                setattr(head, name, functools.partial(way, head, original))


def _is_known(function: Any) -> bool:
    """Whether this module was written for it: not another project's, nor what is in its place already."""
    module: str = function.__module__
    return module.startswith(("mmdet.models.", "cvtk.pose2seg."))


def _groups(count: int) -> Iterator[slice]:
    for start in range(0, count, MASKS_AT_ONCE):
        yield slice(start, start + MASKS_AT_ONCE)


def _in_groups(
    head: Any,
    original: Callable[..., Any],
    *,
    mask_preds: Any,
    bboxes: Any,
    labels: Any = None,
    **kwargs: Any,
) -> list[CocoRLE]:
    """`_predict_by_feat_single` of the heads of Mask R-CNN, YOLACT and CondInst, group by group.

    It scales the boxes in place; slices are views, so that each box is scaled once.
    """
    found = []
    for group in _groups(len(mask_preds)):
        if labels is not None:
            kwargs["labels"] = labels[group]
        masks = original(mask_preds=mask_preds[group], bboxes=bboxes[group], **kwargs)
        found += [encode_mask(mask) for mask in masks.cpu().numpy()]
    return found


def _of_rtmdet(
    head: Any,
    original: Callable[..., Any],
    results: Any,
    mask_feat: Any,
    cfg: Any,
    rescale: bool = False,
    with_nms: bool = True,
    img_meta: Any = None,
) -> Any:
    """`RTMDetInsHead._bbox_mask_post_process`, whose masks are enlarged where the objects are.

    The original sees a corner of the masks, which costs nothing; theirs are made from the kept ones.
    """
    predict = head._mask_predict_by_feat_single
    kept = []

    def predict_corner(*args: Any) -> Any:
        kept.append(predict(*args))
        return kept[0][..., :1, :1]

    head._mask_predict_by_feat_single = predict_corner
    try:
        results = original(results, mask_feat, cfg, rescale, with_nms, img_meta)
    finally:
        head._mask_predict_by_feat_single = predict
    if not kept:
        results.masks = []
        return results
    logits = kept[0].cpu().numpy()
    stride = head.prior_generator.strides[0][0]
    small = logits.shape[-2:]
    height, width = (side * stride for side in small)
    steps, image = [(small, (height, width))], (height, width)
    if rescale:
        across, down = (1 / scale for scale in img_meta["scale_factor"])
        large = math.ceil(height * down), math.ceil(width * across)
        steps.append(((height, width), large))
        image = img_meta["ori_shape"][:2]
    limit = _limit_of(cfg.mask_thr_binary)
    results.masks = [_pack(mask, limit, steps, image) for mask in logits]
    return results


@functools.cache
def _limit_of(threshold: float) -> float:
    """The largest number of 32 bits whose sigmoid, as PyTorch computes it, is not above a threshold."""
    import torch

    low, high = torch.tensor([-20.0, 20.0])
    while low < (middle := (low + high) / 2) < high:
        if middle.expand(16).sigmoid()[0] > threshold:
            high = middle
        else:
            low = middle
    return float(low)


def _of_solo(
    head: Any, original: Callable[..., Any], *args: Any, img_meta: Any, **kwargs: Any
) -> Any:
    """`_predict_by_feat_single` of SOLO and SOLOv2, whose masks are enlarged where the objects are.

    The original enlarges all to the network's input, cuts the padding off, and enlarges them to the image. It gets a
    corner of them instead.
    """
    enlarged: list[tuple[Any, Size]] = []

    def corner(masks: Any, size: Size, **_: Any) -> Any:
        enlarged.append((masks, size))
        return masks[..., :1, :1]

    with _interpolation_by(corner):
        results = original(*args, img_meta=img_meta, **kwargs)
    if not enlarged:
        results.masks = []
        return results
    (masks, padded), (_, image) = enlarged
    steps = [(masks.shape[-2:], padded), (img_meta["img_shape"][:2], image)]
    limit = head.test_cfg.mask_thr
    results.masks = [
        _pack(mask, limit, steps, image) for mask in masks[0].cpu().numpy()
    ]
    return results


def _interpolation_by(function: Callable[..., Any]) -> Any:
    """A context in which another function is called wherever PyTorch's `interpolate` would be."""
    from torch.nn.functional import interpolate
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, called: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            chosen = function if called is interpolate else called
            return chosen(*args, **(kwargs or {}))

    return Mode()


def _of_queries(
    head: Any,
    original: Callable[..., Any],
    mask_cls_results: Any,
    mask_pred_results: Any,
    batch_data_samples: Sequence[Any],
    rescale: bool = False,
    **kwargs: Any,
) -> Any:
    """`MaskFormerFusionHead.predict` for single objects, group by group of those that are kept."""
    if head.test_cfg.get("panoptic_on", True):
        return original(
            mask_cls_results, mask_pred_results, batch_data_samples, rescale, **kwargs
        )
    return [
        {"ins_results": _best_queries(head, classes, masks, sample, rescale)}
        for classes, masks, sample in zip(
            mask_cls_results, mask_pred_results, batch_data_samples, strict=True
        )
    ]


def _best_queries(
    head: Any, classes: Any, masks: Any, sample: Any, rescale: bool
) -> Any:
    """`MaskFormerFusionHead.instance_postprocess`: the best pairs of a query and a class.

    Args:
        head: The `MaskFormerFusionHead`.
        classes: (Q, classes + 1) logits; the last is that of no object.
        masks: (Q, h, w) logits, at the size of the network's input.
        sample: Says how large the image is.
        rescale: Whether the masks are wanted at its size, and not at that of the network's input.
    """
    from mmengine.structures import InstanceData
    from torch.nn.functional import interpolate

    scores = classes.softmax(dim=-1)[:, :-1].flatten()
    scores, best = scores.topk(head.test_cfg.get("max_per_image", 100), sorted=False)
    queries, labels = best // head.num_classes, best % head.num_classes
    is_thing = labels < head.num_things_classes
    queries, labels, scores = queries[is_thing], labels[is_thing], scores[is_thing]
    height, width = sample.img_shape[:2]
    rles: list[CocoRLE] = []
    sureness = scores.new_zeros(len(scores))  # the mean of each mask's pixels
    for group in _groups(len(queries)):
        logits = masks[queries[group], None, :height, :width]
        if rescale:
            size = sample.ori_shape[:2]
            logits = interpolate(logits, size, mode="bilinear", align_corners=False)
        inside = (logits > 0).float()
        sums = (logits.sigmoid() * inside).flatten(1).sum(1)
        sureness[group] = sums / (inside.flatten(1).sum(1) + 1e-6)
        rles += [encode_mask(mask) for mask in inside[:, 0].cpu().numpy()]
    boxes = boxes_around(rles)
    boxes[:, 2:] += boxes[:, :2]
    return InstanceData(
        bboxes=scores.new_tensor(boxes),
        labels=labels,
        scores=scores * sureness,
        masks=rles,
    )


def _of_poses(
    head: Any, original: Callable[..., Any], feature: Any, sample: Any, *args: Any
) -> Any:
    """`Pose2Seg._found`, group by group of the poses."""
    from mmengine.structures import InstanceData

    parts = []
    for group in _groups(max(len(sample.poses), 1)):
        some = sample.clone()
        some.poses = sample.poses[group]
        found = original(feature, some, *args)
        masks = found.pop("masks").cpu().numpy()
        found.masks = [encode_mask(mask) for mask in masks]
        parts.append(found)
    return InstanceData.cat(parts)


def _pack(
    values: NDArray[np.float32],
    limit: float,
    steps: Sequence[tuple[Size, Size]],
    image: Size,
) -> CocoRLE:
    """A mask, enlarged from size to size, and cut at a limit. Only where the object is, it is gone through at all.

    Args:
        values: (h, w).
        limit: What is above it is inside.
        steps: How large a part of the values is enlarged, and to which size: (height, width) each. The part begins
            in their upper left corner.
        image: (height, width) of the image, which begins in the upper left corner of what the last step makes.
    """
    corner = [0, 0]
    for old, new in steps:
        values = _cut(values, corner, old)
        for axis in (1, 0):
            inside = np.flatnonzero((values > limit).any(axis=1 - axis))
            if not len(inside):
                return encode_part(values[:0, :0], 0, 0, *image)
            first, last = (corner[axis] + inside[k] for k in (0, -1))
            low, high, share = _neighbours(old[axis], new[axis])
            # Between values that are not above the limit, there is nothing above it. The next step needs one more
            # on each side, to know where it ends.
            near = np.flatnonzero((high >= first) & (low <= last))
            if not len(near):  # made much smaller, it can fall between the pixels
                return encode_part(values[:0, :0], 0, 0, *image)
            near = np.arange(max(near[0] - 1, 0), min(near[-1] + 2, new[axis]))
            low, high, share = (part[near] for part in (low, high, share))
            share = np.expand_dims(share, 1 - axis)
            lower = values.take(low - corner[axis], axis, mode="clip")
            upper = values.take(high - corner[axis], axis, mode="clip")
            upper *= share
            values = _multiply_add(lower, 1 - share, upper)
            corner[axis] = int(near[0])
    top, left = corner
    return encode_part(_cut(values, corner, image) > limit, left, top, *image)


def _cut(values: NDArray[Any], corner: Sequence[int], size: Size) -> NDArray[Any]:
    """What lies within a size of values whose upper left corner is somewhere in it."""
    height, width = (
        max(side - start, 0) for side, start in zip(size, corner, strict=True)
    )
    return values[:height, :width]


def _multiply_add(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The sum a * b + c, rounded once, as processors do it in one instruction."""
    wide: NDArray[np.float64] = np.multiply(a, b, dtype=np.float64)
    wide += c
    return wide.astype(np.float32)


@functools.lru_cache(maxsize=16)  # all objects of an image ask the same
def _neighbours(old: int, new: int) -> tuple[NDArray[Any], ...]:
    """For each of `new` pixels in a row the two of `old` that it lies between, and the share of the second.

    As PyTorch's `interpolate` has it, bilinear and without aligned corners, to the last bit.
    """
    scale = np.float32(old) / np.float32(new)
    place = (np.arange(new) + 0.5) * np.float64(scale) - 0.5
    place = np.maximum(place, 0).astype(np.float32)
    low = np.minimum(place.astype(np.int64), old - 1)
    return low, np.minimum(low + 1, old - 1), place - low.astype(np.float32)
