"""Which images a step of the training sees: a sampler that `accuracy.py` tries."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()  # type: ignore[untyped-decorator]
class PairSampler(DefaultSampler):  # type: ignore[misc]
    """Each image twice in a row, each time augmented by itself, and half of the images per epoch.

    Repeated augmentation (https://arxiv.org/abs/1902.05509).
    """

    def __iter__(self) -> Iterator[int]:
        half = list(super().__iter__())[: math.ceil(len(self) / 2)]
        twice = [index for index in half for _ in range(2)]
        return iter(twice[: len(self)])
