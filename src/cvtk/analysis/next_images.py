"""Which images to label next: those that the model is unsure of, and that differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvtk.data.looks import Look, alike, difference

NOBODY = -1
"""Stands for "no other image" where the index of one is expected."""


@dataclass(frozen=True)
class Pick:
    """A chosen image.

    Attributes:
        index: Its place in the pool.
        difference: From 0 to 1, to the most similar image that is labelled or was chosen before; 1 where there
            is none.
        nearest: The index of that image, those of the pool first and then those that are labelled, or `NOBODY`.
    """

    index: int
    difference: float
    nearest: int


def pick(
    uncertainties: Sequence[float],
    looks: Sequence[Look],
    labelled: Sequence[Look],
    count: int,
) -> list[Pick]:
    """Chooses images one by one: each time the one whose uncertainty times difference is the highest.

    The difference is that to the most similar image that is labelled or chosen already (the greedy rule of Sener and
    Savarese, "Active learning for convolutional neural networks: a core-set approach", 2018, here weighted
    by uncertainty). So neither twenty views of one difficult scene are chosen, nor odd pictures in which
    there is nothing to learn. Near-duplicates of what is labelled or chosen are never chosen.

    Args:
        uncertainties: Of each image of the pool, 0 or more.
        looks: Of the same.
        labelled: Those of the images that are labelled already.
        count: How many to choose.

    Returns:
        At most `count`, in the order of choice; fewer where the pool has no more that differ.
    """
    size = len(looks)
    both = [*looks, *labelled]
    duplicates = alike(both)
    if not looks:
        return []
    colours = np.stack([look.colours for look in both])
    unsure = np.asarray(uncertainties, dtype=np.float64)
    is_open = np.ones(size, dtype=bool)
    nearest = np.full(size, NOBODY)
    apart = np.ones(size)

    def take(index: int) -> None:
        """Notes that an image is labelled or chosen."""
        if index < size:
            is_open[index] = False
        for other in duplicates.get(index, ()):
            if other < size:
                is_open[other] = False
        away = difference(colours[index], colours[:size])
        closer = (away < apart) | (nearest == NOBODY)
        apart[closer], nearest[closer] = away[closer], index

    for index in range(size, len(both)):
        take(index)
    picks: list[Pick] = []
    while len(picks) < count and is_open.any():
        gain = np.where(is_open, unsure * apart, -1.0)
        best = np.flatnonzero(gain == gain.max())
        # Of equals, such as images in which the model finds nothing, the one that differs most.
        index = int(best[apart[best].argmax()])
        picks.append(Pick(index, float(apart[index]), int(nearest[index])))
        take(index)
    return picks
