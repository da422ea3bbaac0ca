"""Poses as pictures: what the network sees of a skeleton."""

from __future__ import annotations

import torch
from torch import Tensor

SPREAD = 3 / 64
"""Standard deviation of a keypoint's spot, as a fraction of the square's side."""
HALF_WIDTH = 1.0
"""How far from its line a limb reaches, in pixels."""


def skeleton_maps(poses: Tensor, limbs: list[list[int]], side: int) -> Tensor:
    """A map for each keypoint, then two for each limb.

    Args:
        poses: (N, K, 3), in pixels of the square.
        limbs: L pairs of keypoints.
        side: Of the square, in pixels.

    Returns:
        (N, K + 2 L, side, side).
    """
    maps = [confidence_maps(poses, side)]
    if limbs:
        maps.append(affinity_fields(poses, limbs, side))
    return torch.cat(maps, dim=1)


def confidence_maps(poses: Tensor, side: int) -> Tensor:
    """A Gaussian spot at each keypoint: 1 at its middle, -1 for one that is hidden, nothing for one that is missing.

    Args:
        poses: (N, K, 3), in pixels of the square.
        side: Of the square, in pixels.

    Returns:
        (N, K, side, side).
    """
    x, y = _pixels(side, poses)
    px, py, visibility = poses[..., None, None].unbind(dim=2)
    apart = (x - px) ** 2 + (y - py) ** 2
    sign = (visibility == 2).float() - (visibility == 1).float()
    return sign * torch.exp(-apart / (2 * (SPREAD * side) ** 2))


def affinity_fields(poses: Tensor, limbs: list[list[int]], side: int) -> Tensor:
    """Part affinity fields (https://arxiv.org/abs/1611.08050): along a limb its direction, elsewhere 0.

    Args:
        poses: (N, K, 3), in pixels of the square.
        limbs: L pairs of keypoints; one that misses an end has no field.
        side: Of the square, in pixels.

    Returns:
        (N, 2 L, side, side), x and y of a unit vector for each limb in turn.
    """
    x, y = _pixels(side, poses)
    ends = torch.tensor(limbs, device=poses.device)
    start, end = poses[:, ends[:, 0]], poses[:, ends[:, 1]]  # N, L, 3
    way = (end - start)[..., :2]
    length = way.norm(dim=-1)
    unit = way / length.clamp(min=1e-6)[..., None]
    ux, uy = unit[..., None, None].unbind(dim=2)  # N, L, 1, 1
    dx, dy = x - start[..., 0, None, None], y - start[..., 1, None, None]
    along, beside = dx * ux + dy * uy, dy * ux - dx * uy
    both = ((start[..., 2] > 0) & (end[..., 2] > 0))[..., None, None]
    inside = (along >= 0) & (along <= length[..., None, None])
    inside &= (beside.abs() <= HALF_WIDTH) & both
    fields = torch.where(inside[:, :, None], unit[..., None, None], 0.0)
    return fields.flatten(1, 2)


def _pixels(side: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The middles of a square's pixels: x (1, side) and y (side, 1)."""
    places = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
    return places[None], places[:, None]
