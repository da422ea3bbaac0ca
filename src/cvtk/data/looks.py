"""What images look like from afar: which are nearly the same, and how different the others are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.data.duplicates import near_duplicates

GRID = 8


@dataclass(frozen=True)
class Look:
    """An image from afar.

    Attributes:
        thumb: (16, 17) uint8, grey, as `cvtk.data.duplicates` compares it.
        colours: (192,) float32 from 0 to 1: the mean red, green and blue of each of 8 x 8 fields.
    """

    thumb: NDArray[np.uint8]
    colours: NDArray[np.float32]


def look_of(pixels: NDArray[np.uint8]) -> Look:
    """How an image looks.

    Args:
        pixels: (H, W, 3), red, green, blue.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    grey = image.convert("L").resize((17, 16), Image.Resampling.BOX)
    fields = image.resize((GRID, GRID), Image.Resampling.BOX)
    colours = np.asarray(fields, dtype=np.float32).ravel() / np.float32(255)
    return Look(np.asarray(grey), colours)


def difference(
    colours: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How different images are from one, from 0 to 1: the root mean square of the differences of their fields.

    Args:
        colours: (192,) of the one.
        others: (N, 192).

    Returns:
        (N,). Photographs of different scenes come to about 0.2 to 0.4.
    """
    squares = np.square(others - colours).mean(axis=1, dtype=np.float64)
    return np.asarray(np.sqrt(squares))


def alike(looks: list[Look]) -> dict[int, set[int]]:
    """The near-duplicates of each image that has any, by index."""
    found: dict[int, set[int]] = {}
    for i, j in near_duplicates([look.thumb for look in looks]):
        found.setdefault(i, set()).add(j)
        found.setdefault(j, set()).add(i)
    return found
