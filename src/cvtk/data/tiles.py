"""Large images in tiles: equal squares that overlap and together cover the image."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """A part of an image, in pixels; right and bottom are the first column and row behind it.

    Attributes:
        left: Its first column.
        top: Its first row.
        right: The column behind its last.
        bottom: The row behind its last.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.right - self.left, self.bottom - self.top

    def common(self, other: Tile) -> Tile | None:
        """The part that two tiles share; None where there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Tile(left, top, right, bottom) if left < right and top < bottom else None


def tiles_of(width: int, height: int, size: int, overlap: float) -> list[Tile]:
    """The tiles of an image, row by row.

    All are `size` pixels wide and high, or as large as the image where that is smaller. They are spread evenly, so
    that neighbours share at least `overlap` of their side.

    Args:
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        size: Of the tiles, in pixels.
        overlap: What neighbours share at least, from 0 to below 1.
    """
    return [
        Tile(left, top, min(left + size, width), min(top + size, height))
        for top in _starts(height, size, overlap)
        for left in _starts(width, size, overlap)
    ]


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Where tiles begin along one side of an image."""
    if length <= size:
        return [0]
    step = max(1, math.floor(size * (1 - overlap)))
    count = math.ceil((length - size) / step) + 1
    return [round(k * (length - size) / (count - 1)) for k in range(count)]
