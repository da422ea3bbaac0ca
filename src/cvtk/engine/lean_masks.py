"""Masks of large images, enlarged to the image and packed as RLE one by one.

MMDetection enlarges the masks of all objects of an image together, as numbers: 100 objects in a photograph of
12 megapixels take 10 GB. The two heads that most architectures share are told here to go through small groups, or
through the part of the image in which an object lies. The masks are the same; other heads stay as they are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.io import CocoRLE, encode_mask, encode_part

Size: TypeAlias = tuple[int, int]

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
    height, width = (side * stride for side in logits.shape[-2:])
    sizes, image = [logits.shape[-2:], (height, width)], (height, width)
    if rescale:
        across, down = (1 / scale for scale in img_meta["scale_factor"])
        sizes.append((math.ceil(height * down), math.ceil(width * across)))
        image = img_meta["ori_shape"][:2]
    threshold = cfg.mask_thr_binary
    limit = math.log(threshold / (1 - threshold))  # of which it is the sigmoid
    results.masks = [_pack(mask, limit, sizes, image) for mask in logits]
    return results


def _pack(
    values: NDArray[np.float32], limit: float, sizes: Sequence[Size], image: Size
) -> CocoRLE:
    """A mask, enlarged from size to size, and cut at a limit. Only where the object is, it is gone through at all.

    Args:
        values: (h, w).
        limit: What is above it is inside.
        sizes: (height, width) of the values, and of each step.
        image: (height, width) of the image, which begins in the upper left corner of the last.
    """
    corner = [0, 0]
    for old, new in pairwise(sizes):
        for axis in (0, 1):
            inside = np.flatnonzero((values > limit).any(axis=1 - axis))
            if not len(inside):
                return encode_part(values[:0, :0], 0, 0, *image)
            first, last = (corner[axis] + inside[k] for k in (0, -1))
            low, high, share = _neighbours(old[axis], new[axis])
            # Between values that are not above the limit, there is nothing above it. The next step needs one more
            # on each side, to know where it ends.
            near = np.flatnonzero((high >= first) & (low <= last))
            if not len(
                near
            ):  # made much smaller, an object can fall between the pixels
                return encode_part(values[:0, :0], 0, 0, *image)
            near = np.arange(max(near[0] - 1, 0), min(near[-1] + 2, new[axis]))
            low, high, share = (part[near] for part in (low, high, share))
            share = np.expand_dims(share, 1 - axis)
            lower = values.take(low - corner[axis], axis, mode="clip")
            upper = values.take(high - corner[axis], axis, mode="clip")
            lower *= 1 - share
            upper *= share
            values = np.add(lower, upper, out=lower)
            corner[axis] = int(near[0])
    top, left = corner
    mask = values[: max(image[0] - top, 0), : max(image[1] - left, 0)] > limit
    return encode_part(mask, left, top, *image)


def _neighbours(old: int, new: int) -> tuple[NDArray[Any], ...]:
    """For each of `new` pixels in a row the two of `old` that it lies between, and the share of the second.

    As PyTorch's `interpolate` has it, bilinear and without aligned corners, in its precision.
    """
    place = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new)
    place = np.maximum(place - np.float32(0.5), 0)
    low = np.minimum(place.astype(np.int64), old - 1)
    return low, np.minimum(low + 1, old - 1), place - low.astype(np.float32)
