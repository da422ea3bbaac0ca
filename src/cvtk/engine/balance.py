"""Which images an epoch sees, where those with rare classes are to be seen more often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler
from numpy.typing import NDArray

from cvtk.options import USUAL_SHARE


class BalancedSampler(DefaultSampler):  # type: ignore[misc]
    """As many images per epoch as there are, those with rare classes more often, and others less; see `how_often`.

    Args:
        dataset: One of MMDetection's.
        **own: As for MMEngine's sampler.
    """

    def __init__(self, dataset: Any, **own: Any) -> None:
        super().__init__(dataset, **own)
        instances = [dataset.get_data_info(n)["instances"] for n in range(len(dataset))]
        self._often = how_often(
            [{item["bbox_label"] for item in found} for found in instances]
        )

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        drawn = draw(self._often, self.total_size, rng)  # the same in each process
        return iter(drawn[self.rank : self.total_size : self.world_size].tolist())


def how_often(classes: Sequence[AbstractSet[int]]) -> NDArray[np.float64]:
    """How often images are seen, in units of an image without a rare class.

    It is the rule of LVIS (https://arxiv.org/abs/1908.03195, "repeat factor sampling"): the square root of
    `USUAL_SHARE` over the share of the images that have a class, for the rarest class in an image.

    Args:
        classes: Of each image.

    Returns:
        (N,) numbers of at least 1.
    """
    images = Counter(kind for found in classes for kind in found)
    often = {
        kind: max(1.0, math.sqrt(USUAL_SHARE * len(classes) / count))
        for kind, count in images.items()
    }
    return np.array(
        [max((often[kind] for kind in found), default=1.0) for found in classes]
    )


def draw(
    often: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draws images for an epoch, in any order: each as often as it should, rounded up or down by chance.

    Args:
        often: (N,) how often an image should be seen in comparison with others.
        count: Of the images to draw.
        rng: Where chance comes from.

    Returns:
        (count,) indices of images.
    """
    order = rng.permutation(len(often))
    ends = np.cumsum(often[order]) * (count / often.sum())
    marks = np.arange(count) + rng.random()
    # By rounding, the last mark may lie behind the last end.
    places = np.searchsorted(ends, marks).clip(max=len(often) - 1)
    return rng.permutation(order[places])
