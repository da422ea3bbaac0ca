"""Overlap of boxes."""

from __future__ import annotations

import torch
from torch import Tensor

_IOU = 0


def bbox_overlaps(
    bboxes1: Tensor,
    bboxes2: Tensor,
    ious: Tensor,
    mode: int,
    aligned: bool,
    offset: int,
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
    # Coordinate by coordinate: a last axis of 2 would double time and memory.
    ax1, ay1, ax2, ay2 = bboxes1.unbind(-1)
    bx1, by1, bx2, by2 = bboxes2.unbind(-1)
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1) + offset).clamp_(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1) + offset).clamp_(min=0)
    overlap = width.mul_(height)
    base = (ax2 - ax1 + offset) * (ay2 - ay1 + offset)
    if mode == _IOU:
        base = base + (bx2 - bx1 + offset) * (by2 - by1 + offset) - overlap
    smallest = offset or torch.finfo(base.dtype).tiny
    ious.copy_(overlap / base.clamp(min=smallest))
