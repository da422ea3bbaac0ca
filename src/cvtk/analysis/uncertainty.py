"""How much is to be learnt from an image: how unsure the model is of what it finds there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvtk.results import Result

# Objects below this score are mostly not there at all, and there are many of them.
LOWEST_SCORE = 0.1


def entropies(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of each score (N,), in bits: 1 for a score of 0.5, 0.47 for 0.1 and 0.9, 0 for 0 and 1."""
    yes = np.clip(scores, 1e-12, 1 - 1e-12)
    no = 1 - yes
    bits: NDArray[np.float64] = -yes * np.log2(yes) - no * np.log2(no)
    return bits


def uncertainty(result: Result) -> float:
    """The entropy of the scores of an image's objects, summed, in bits.

    An object of score 0.5 counts 1; one of score 0.1 or 0.9 counts 0.47; a sure one counts nothing. The sum
    prefers images with many unsure objects (Brust, Käding and Denzler, "Active learning for deep object
    detection", 2019, compare it with the mean and the maximum).

    Args:
        result: The objects; those below `LOWEST_SCORE` are left out.

    Returns:
        0 or more.
    """
    return float(entropies(result.filter(LOWEST_SCORE).scores).sum())
