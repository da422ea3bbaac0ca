"""How much is to be learnt from an image: how unsure the model is of what it finds there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvtk.results import Result

# Objects below this score are mostly not there at all, and there are many of them.
LOWEST_SCORE = 0.1

# Two objects are in one place from this IoU on.
SAME_PLACE = 0.5


def entropies(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of each score (N,), in bits: 1 for a score of 0.5, 0.47 for 0.1 and 0.9, 0 for 0 and 1."""
    yes = np.clip(scores, 1e-12, 1 - 1e-12)
    no = 1 - yes
    bits: NDArray[np.float64] = -yes * np.log2(yes) - no * np.log2(no)
    return bits


def told_apart(result: Result) -> Result:
    """The objects of at least `LOWEST_SCORE`, each once: of several in one place the one with the highest score.

    Where a network is unsure, it finds one object several times, in several classes or with several outlines. That
    is one object to be looked at, not five.

    Returns:
        Those that no stronger one overlaps with an IoU of `SAME_PLACE` or more, of masks if there are any, else of
        boxes; the highest score first.
    """
    from pycocotools import mask as api

    result = result.filter(LOWEST_SCORE)
    result = result[np.argsort(-result.scores, kind="stable")]
    if not len(result):
        return result
    shapes = result.bboxes if result.masks is None else result.masks
    overlaps = np.asarray(api.iou(shapes, shapes, [0] * len(result))) >= SAME_PLACE
    kept: list[int] = []
    for index in range(len(result)):
        if not overlaps[index, kept].any():
            kept.append(index)
    return result[kept]


def uncertainty(result: Result) -> float:
    """The entropy of the scores of an image's objects, summed, in bits.

    An object of score 0.5 counts 1; one of score 0.1 or 0.9 counts 0.47; a sure one counts nothing. The sum
    prefers images with many unsure objects (Brust, Käding and Denzler, "Active learning for deep object
    detection", 2019, compare it with the mean and the maximum).

    Args:
        result: The objects; those that count are the ones of `told_apart`.

    Returns:
        0 or more.
    """
    return float(entropies(told_apart(result).scores).sum())
