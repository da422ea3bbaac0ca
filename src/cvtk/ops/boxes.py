"""Overlap of boxes."""

from __future__ import annotations

import torch
from torch import Tensor

_IOU = 0


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Intersection over union, or over the area of the first box.

    Args:
        bboxes1: (M, 4) as x1, y1, x2, y2 in pixels.
        bboxes2: (N, 4).
        ious: Receives the overlaps in [0, 1]: (M, N), or (M,) if aligned. 0 where both boxes are empty.
        mode: 0 for the union (IoU), 1 for the first box, the foreground (IoF), as the denominator.
        aligned: Pair box i with box i (M = N), instead of every box with every box.
        offset: 0, or 1 where x2 and y2 name the last pixel inside.
    """
    if not aligned:
        bboxes1 = bboxes1[:, None]
    top_left = torch.maximum(bboxes1[..., :2], bboxes2[..., :2])
    bottom_right = torch.minimum(bboxes1[..., 2:], bboxes2[..., 2:])
    overlap = (bottom_right - top_left + offset).clamp(min=0).prod(-1)
    base = (bboxes1[..., 2:] - bboxes1[..., :2] + offset).prod(-1)
    if mode == _IOU:
        base = base + (bboxes2[..., 2:] - bboxes2[..., :2] + offset).prod(-1) - overlap
    smallest = offset or torch.finfo(base.dtype).tiny
    ious.copy_(overlap / base.clamp(min=smallest))
