"""Masks cut out at their box, straight from run lengths: the mask of a whole image is never made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    Needs memory for its box alone.

    Raises:
        DataError: The counts are damaged.
    """
    height, full_width = rle["size"]
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    ends = np.cumsum(rle_counts(RLE((height, full_width), text)))
    # The runs go down the columns, in turn background and object, background first.
    starts, ends = ends[:-1][::2], ends[1::2]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if not len(starts):
        return None
    columns, rows = np.divmod(starts, height)
    last_columns, last_rows = np.divmod(ends - 1, height)
    x, width = int(columns[0]), int(last_columns[-1] - columns[0]) + 1
    if (last_columns > columns).any():
        # A run that goes on in the next column holds a pixel at the bottom and one at the top.
        y, inner = 0, height
    else:
        y, inner = int(rows.min()), int(last_rows.max() - rows.min()) + 1
    # +1 where a run begins and -1 behind its end, added up down the columns: 1 inside, 0 outside.
    steps = np.zeros(width * inner + 1, np.int8)
    np.add.at(steps, (columns - x) * inner + rows - y, 1)
    np.add.at(steps, (last_columns - x) * inner + last_rows - y + 1, -1)
    flat = np.cumsum(steps[:-1], dtype=np.int8) != 0
    return Crop(np.ascontiguousarray(flat.reshape(width, inner).T), x, y)


class CutOuts(Sequence[Crop]):
    """Masks that are cut out one at a time, as they are asked for: hundreds would fill the memory."""

    def __init__(self, masks: Sequence[CocoRLE]) -> None:
        self._masks = masks

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, index: Any) -> Any:
        """The object of one mask; an empty mask is a crop without pixels."""
        return cut_out(self._masks[index]) or Crop(np.zeros((0, 0), bool), 0, 0)
