"""An image on its way through a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.sources import ImageSource


@dataclass(frozen=True)
class Picture:
    """An image as it was read, and as the network takes it.

    Attributes:
        source: Which image.
        bgr: (H, W, 3) blue, green, red, as MMDetection reads it.
        sample: What its pipeline made of it; None where it is not prepared.
    """

    source: ImageSource
    bgr: NDArray[Any]
    sample: Any

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) in RGB."""
        return self.bgr[..., ::-1].astype(np.uint8, copy=False)
