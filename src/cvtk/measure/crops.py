"""Masks cut out at their box, straight from run lengths: the mask of a whole image is never made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.data.masks import rle_counts
from cvtk.data.types import RLE
from cvtk.io import CocoRLE


@dataclass(frozen=True)
class Crop:
    """The part of a mask that lies in the box around it.

    Attributes:
        mask: (height, width) bool; its first and last rows and columns each hold a pixel of the object.
        x: Column of the image at which it begins.
        y: Row of the image at which it begins.
    """

    mask: NDArray[np.bool_]
    x: int
    y: int


def cut_out(rle: CocoRLE) -> Crop | None:
    """The object of a compressed RLE; None if the mask is empty.

    Needs as much memory as the columns of the image that the object reaches into.

    Raises:
        DataError: The counts are damaged.
    """
    height, width = rle["size"]
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    ends = np.cumsum(rle_counts(RLE((height, width), text)))
    # The runs go down the columns, in turn background and object, background first.
    starts, ends = ends[:-1][::2], ends[1::2]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if not len(starts):
        return None
    x = int(starts[0]) // height
    columns = (int(ends[-1]) - 1) // height + 1 - x
    # +1 where a run begins and -1 where it ends, added up: 1 inside, 0 outside.
    steps = np.zeros(columns * height + 1, np.int8)
    np.add.at(steps, starts - x * height, 1)
    np.add.at(steps, ends - x * height, -1)
    mask = np.cumsum(steps[:-1], dtype=np.int8).reshape(columns, height).T != 0
    rows = np.flatnonzero(mask.any(axis=1))
    y, bottom = int(rows[0]), int(rows[-1]) + 1
    return Crop(np.ascontiguousarray(mask[y:bottom]), x, y)
