"""Which images a step of the training sees: samplers that `accuracy.py` tries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
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


@DATA_SAMPLERS.register_module()  # type: ignore[untyped-decorator]
class RareSampler(DefaultSampler):  # type: ignore[misc]
    """As many images per epoch as there are, but those with rare classes more often.

    How often is that of LVIS (https://arxiv.org/abs/1908.03195): the square root of the wanted share of images by the
    class's own share, for the rarest class in an image.
    """

    WANTED = 0.5  # classes in a smaller share of the images are seen more often

    def __init__(self, dataset: Any, **settings: Any) -> None:
        super().__init__(dataset, **settings)
        classes = [set(dataset.get_cat_ids(index)) for index in range(len(dataset))]
        images = Counter(kind for found in classes for kind in found)
        often = {
            kind: max(1.0, math.sqrt(self.WANTED * len(classes) / count))
            for kind, count in images.items()
        }
        self.often = np.array(
            [max((often[kind] for kind in found), default=1.0) for found in classes]
        )

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        share = self.often / self.often.sum()
        return iter(rng.choice(len(share), len(self), p=share).tolist())
