"""Pictures seen through a transform: from the image into an object's square, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""


def into_square(maps: Tensor, transforms: Tensor, size: Size, side: int) -> Tensor:
    """Samples maps of images as they are seen in the squares of objects, bilinear, with zeros outside.

    Args:
        maps: (N, C, h, w), each of the image of an object; they may be smaller than that.
        transforms: (N, 2, 3), float32, from pixels of the image to pixels of the square.
        size: Of the image.
        side: Of the square, in pixels.

    Returns:
        (N, C, side, side).
    """
    places = _to_pixels((0, 0, side, side), maps)
    theta = _to_unit(size, maps) @ _full(transforms).inverse() @ places
    return _sampled(maps, theta, (side, side))


def out_of_square(square: Tensor, transform: Tensor, part: Sequence[int]) -> Tensor:
    """Samples a map of a square at the pixels of a part of the image, bilinear, with zeros outside.

    Args:
        square: (C, side, side).
        transform: (2, 3) from pixels of the image to pixels of the square.
        part: x, y, width and height of the part.

    Returns:
        (C, height, width).
    """
    side = square.shape[-1]
    x, y, width, height = part
    places = _to_pixels((x, y, width, height), square)
    theta = _to_unit((side, side), square) @ _full(transform[None]) @ places
    return _sampled(square[None], theta, (width, height))[0]


def part_of_image(transform: Tensor, side: int, size: Size) -> tuple[int, ...]:
    """The part of an image that a square shows: x, y, width and height; of none, a width or a height of 0.

    Args:
        transform: (2, 3) from pixels of the image to pixels of the square.
        side: Of the square, in pixels.
        size: Of the image.
    """
    corners = torch.tensor([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]])
    places = _full(transform[None])[0].inverse().cpu() @ corners.T.to(torch.float32)
    most = torch.tensor(size)[:, None]
    inside = torch.minimum(places[:2].clamp(min=0), most)
    x, y = inside.min(dim=1)[0].floor().int().tolist()
    right, bottom = inside.max(dim=1)[0].ceil().int().tolist()
    return x, y, right - x, bottom - y


def _sampled(maps: Tensor, theta: Tensor, size: Size) -> Tensor:
    """Samples by transforms (N, 3, 3) between coordinates from -1 to 1."""
    shape = [len(theta), maps.shape[1], size[1], size[0]]
    grid = F.affine_grid(theta[:, :2], shape, align_corners=False)
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False)


def _full(transforms: Tensor) -> Tensor:
    """(N, 2, 3) as (N, 3, 3)."""
    last = transforms.new_tensor([0, 0, 1]).expand(len(transforms), 1, 3)
    return torch.cat([transforms, last], dim=1)


def _to_unit(size: Size, like: Tensor) -> Tensor:
    """From pixels to -1 to 1, as PyTorch counts places in a picture."""
    width, height = size
    rows = [[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]]
    return torch.tensor(rows, device=like.device, dtype=torch.float32)


def _to_pixels(part: Sequence[int], like: Tensor) -> Tensor:
    """From -1 to 1 in a part of a picture to the pixels of the whole."""
    x, y, width, height = part
    rows = [[width / 2, 0, x + width / 2], [0, height / 2, y + height / 2], [0, 0, 1]]
    return torch.tensor(rows, device=like.device, dtype=torch.float32)
