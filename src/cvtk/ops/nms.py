"""Non-maximum suppression: greedy, soft, and with the suppressed boxes listed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvtk.ops.precision import compute_dtype

_NAIVE, _LINEAR, _GAUSSIAN = range(3)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2 in pixels.
        scores: (N,).
        iou_threshold: A box goes when its IoU with a better one is larger, in [0, 1].
        offset: 0, or 1 where x2 and y2 name the last pixel inside, so that the width is x2 - x1 + 1.

    Returns:
        (K,) int64, indices of the boxes that stay, best first; equal scores in the order of the input.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    dtype = compute_dtype(boxes, scores)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    if offset:
        # From the last pixel inside to the first one outside: sizes and overlaps grow by the offset.
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torch.ops.torchvision.nms(boxes, scores, float(iou_threshold))


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al. 2017, https://arxiv.org/abs/1704.04503): overlap lowers a score.

    Runs on the CPU, in one NumPy pass over the remaining boxes for each box that is kept. Boxes that fall
    below `min_score` are replaced by the last one, as in mmcv, so that equal scores come in its order.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2 in pixels, on the CPU.
        scores: (N,).
        dets: (N, 5), receives x1, y1, x2, y2 and the new score of each box that stays, best first.
        iou_threshold: IoU from which the naive and the linear method lower a score.
        sigma: Width of the gaussian method's exp(-IoU^2 / sigma).
        min_score: Boxes below it are dropped; the very best box stays whatever its score.
        method: 0 naive (score 0), 1 linear (times 1 - IoU), 2 gaussian.
        offset: 0 or 1, as in `nms`.

    Returns:
        (K,) int64, indices of the boxes that stay; the first K rows of `dets` belong to them.
    """
    dtype = compute_dtype(boxes, scores)
    box = boxes.detach().to(dtype).numpy().copy()
    score = scores.detach().to(dtype).numpy().copy()
    area = (box[:, 2] - box[:, 0] + offset) * (box[:, 3] - box[:, 1] + offset)
    index = np.arange(len(box))
    n = len(box)
    i = 0
    while i < n:
        best = i + int(np.argmax(score[i:n]))
        for array in (box, score, area, index):
            array[[i, best]] = array[[best, i]]
        rest = slice(i + 1, n)
        iou = _iou(box[i], area[i], box[rest], area[rest], offset)
        score[rest] *= _decay(iou, iou_threshold, sigma, method).astype(score.dtype)
        keep = ~(score[rest] < min_score)
        if not keep.all():
            kept = int(keep.sum())
            holes = i + 1 + np.flatnonzero(~keep[:kept])
            last = i + 1 + kept + np.flatnonzero(keep[kept:])[::-1]
            for array in (box, score, area, index):
                array[holes] = array[last]
            n = i + 1 + kept
        i += 1
    dets[:n, :4] = torch.from_numpy(box[:n])
    dets[:n, 4] = torch.from_numpy(score[:n])
    return torch.from_numpy(index[:n])


def _decay(
    iou: NDArray[np.floating], iou_threshold: float, sigma: float, method: int
) -> NDArray[np.floating]:
    """What Soft-NMS multiplies the scores with, for boxes of this IoU with a better one."""
    if method == _GAUSSIAN:
        factor: NDArray[np.floating] = np.exp(-(iou**2) / sigma)
        return factor
    near = 0.0 if method == _NAIVE else 1 - iou
    return np.where(iou >= iou_threshold, near, 1.0)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Greedy non-maximum suppression that lists for each kept box which ones it suppressed.

    Args:
        dets: (N, 5) as x1, y1, x2, y2, score, on the CPU.
        iou_threshold: A box joins the group of a better one from this IoU on.

    Returns:
        For each kept box, best first: its index, then those it suppressed, by falling score.
    """
    dets = dets.detach()
    order = torch.sort(dets[:, 4], descending=True, stable=True).indices.numpy()
    box = dets[:, :4].to(compute_dtype(dets)).numpy()[order]
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    left: NDArray[np.intp] = np.arange(len(box))
    groups: list[list[int]] = []
    while len(left):
        first, rest = left[0], left[1:]
        near = _iou(box[first], area[first], box[rest], area[rest], 0) >= iou_threshold
        groups.append([int(order[first]), *order[rest[near]].tolist()])
        left = rest[~near]
    return groups


def _iou(
    one: NDArray[np.floating],
    one_area: np.floating,
    many: NDArray[np.floating],
    many_area: NDArray[np.floating],
    offset: int,
) -> NDArray[np.floating]:
    """IoU of one box with many: (4,), (), (M, 4), (M,) -> (M,); NaN, hence no match, for two empty boxes."""
    size = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2]) + offset
    overlap: NDArray[np.floating] = np.maximum(size, 0).prod(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: NDArray[np.floating] = overlap / (one_area + many_area - overlap)
    return iou
