"""Masks of large images a few at a time: enlarged to the image, and packed as RLE at once.

MMDetection enlarges the masks of all objects of an image together, as numbers: 100 objects in a photograph of
12 megapixels take 10 GB. The two heads that most architectures share are told here to do so in small groups.
The masks are the same; other heads stay as they are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from cvtk.io import CocoRLE, encode_mask

MASKS_AT_ONCE = 8


def use_lean_masks(network: Any) -> None:
    """Lets a network give its masks as a list of RLE, instead of a tensor (N, H, W)."""
    from mmdet.models.dense_heads.rtmdet_ins_head import RTMDetInsHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead

    for head in network.modules():
        if isinstance(head, FCNMaskHead) and _is_inherited(
            head, FCNMaskHead, "_predict_by_feat_single"
        ):
            original = head._predict_by_feat_single
            head._predict_by_feat_single = functools.partial(_paste_masks, original)
        elif isinstance(head, RTMDetInsHead):
            original = head._bbox_mask_post_process
            head._bbox_mask_post_process = functools.partial(
                _post_process, head, original
            )


def _is_inherited(head: Any, owner: type, name: str) -> bool:
    return getattr(type(head), name) is getattr(owner, name)


def _groups(count: int) -> Iterator[slice]:
    for start in range(0, count, MASKS_AT_ONCE):
        yield slice(start, start + MASKS_AT_ONCE)


def _paste_masks(
    original: Callable[..., Any],
    mask_preds: Any,
    bboxes: Any,
    labels: Any,
    *args: Any,
    **kwargs: Any,
) -> list[CocoRLE]:
    """`FCNMaskHead._predict_by_feat_single`, group by group.

    It scales the boxes in place; slices are views, so that each box is scaled once.
    """
    found = []
    for group in _groups(len(mask_preds)):
        masks = original(
            mask_preds[group], bboxes[group], labels[group], *args, **kwargs
        )
        found += [encode_mask(mask) for mask in masks.cpu().numpy()]
    return found


def _post_process(
    head: Any,
    original: Callable[..., Any],
    results: Any,
    mask_feat: Any,
    cfg: Any,
    rescale: bool = False,
    with_nms: bool = True,
    img_meta: Any = None,
) -> Any:
    """`RTMDetInsHead._bbox_mask_post_process`, whose masks are enlarged group by group.

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
    enlarge = functools.partial(_enlarge, head, img_meta if rescale else None)
    packed: list[CocoRLE] = []
    for group in _groups(len(kept[0])):
        masks = enlarge(kept[0][group]).sigmoid() > cfg.mask_thr_binary
        packed += [encode_mask(mask) for mask in masks.cpu().numpy()]
    results.masks = packed
    return results


def _enlarge(head: Any, img_meta: Any, logits: Any) -> Any:
    """Masks (N, h, w) as large as the network's input, or as the image, by the original's own steps."""
    from torch.nn import functional

    stride = head.prior_generator.strides[0][0]
    logits = functional.interpolate(
        logits.unsqueeze(0), scale_factor=stride, mode="bilinear"
    )
    if img_meta is not None:
        height, width = img_meta["ori_shape"][:2]
        x_scale, y_scale = (1 / scale for scale in img_meta["scale_factor"])
        size = [
            math.ceil(logits.shape[-2] * y_scale),
            math.ceil(logits.shape[-1] * x_scale),
        ]
        logits = functional.interpolate(
            logits, size=size, mode="bilinear", align_corners=False
        )[..., :height, :width]
    return logits.squeeze(0)
