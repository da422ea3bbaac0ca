"""One rule for images of more than 8 bits: how their values become the 8 bits that networks see."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Intensity: TypeAlias = Literal["depth", "range", "percentiles"]
"""Which rule; see `to_8_bits`. Images of 8 bits stay as they are under each."""

PERCENTILES = (0.1, 99.9)


def to_8_bits(
    values: NDArray[Any], intensity: Intensity = "depth"
) -> NDArray[np.uint8]:
    """Scales whole numbers of more than 8 bits, or floating-point numbers, to 0..255.

    Args:
        values: Of one image, of any shape. NaN counts as 0, and so does what is infinite.
        intensity: "depth": of whole numbers up to 65,535 the upper 8 of 16 bits are taken, as OpenCV does, and other
            values are stretched from the least to the greatest. "range": all are stretched so. "percentiles": all
            are stretched from the 0.1st to the 99.9th percentile, and what is beyond becomes 0 or 255.
    """
    whole = values.dtype.kind != "f"
    if intensity == "depth" and whole and values.min() >= 0 and values.max() < 2**16:
        return (values >> 8).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    if intensity == "percentiles":
        low, high = map(float, np.percentile(values, PERCENTILES))
    else:
        low, high = float(values.min()), float(values.max())
    stretched = (values - low) * (255 / max(high - low, 1e-30))
    return np.clip(stretched.round(), 0, 255).astype(np.uint8)
