"""How many objects, and how much area: what was predicted against what is true, per image and class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.matching import Matches
from cvtk.metrics.detections import areas_of_masks


@dataclass(frozen=True)
class PerImage:
    """Counts and total areas of one class in each image; crowds, and what lies in them, do not count.

    Attributes:
        true_count: (images,) objects.
        found_count: (images,) detections that are kept.
        true_area: (images,) square pixels.
        found_area: (images,) square pixels.
    """

    true_count: NDArray[np.float64]
    found_count: NDArray[np.float64]
    true_area: NDArray[np.float64]
    found_area: NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How well predicted values agree with true ones, image by image, in their unit.

    The limits of agreement are those of Bland and Altman ("Statistical methods for assessing agreement between
    two methods of clinical measurement", Lancet 1986): 95% of the differences are expected between them.

    Attributes:
        bias: The mean of predicted less true.
        lower: bias - 1.96 standard deviations of the differences; NaN for fewer than two images.
        upper: bias + 1.96 standard deviations.
        r2: The square of Pearson's correlation, 0 to 1; NaN where one of the two does not vary.
        mae: The mean of the absolute differences.
    """

    bias: float
    lower: float
    upper: float
    r2: float
    mae: float


def areas(matches: Matches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The areas of all objects (G,) and of all detections (N,), of masks or of boxes, in square pixels."""
    objects, found_area = matches.truth.objects, matches.found.areas(matches.kind)
    masks = [true.mask for true in objects if true.mask is not None]
    if matches.kind == "segm" and len(masks) == len(objects):
        return areas_of_masks(masks), found_area
    boxes = np.array([true.bbox for true in objects], dtype=np.float64).reshape(-1, 4)
    return boxes[:, 2] * boxes[:, 3], found_area


def per_image(matches: Matches, is_kept: NDArray[np.bool_]) -> dict[str, PerImage]:
    """Counts and areas in each image, by class name.

    Args:
        matches: Detections matched with objects.
        is_kept: (N,) the detections that count.
    """
    true_area, found_area = areas(matches)
    images = len(matches.truth.image_names)
    counted = is_kept & ~matches.is_ignored[0]
    told = {}
    for name in matches.truth.class_order:
        number = matches.truth.classes.index(name) + 1
        true = (matches.true_category == number) & ~matches.is_crowd
        found = (matches.found.category == number) & counted
        true_image = matches.true_image[true] - 1
        found_image = matches.found.image[found] - 1
        told[name] = PerImage(
            true_count=_total(true_image, None, images),
            found_count=_total(found_image, None, images),
            true_area=_total(true_image, true_area[true], images),
            found_area=_total(found_image, found_area[found], images),
        )
    return told


def agreement(true: NDArray[np.float64], found: NDArray[np.float64]) -> Agreement:
    """Compares predicted values (images,) with true ones; NaN where there is no image."""
    if not len(true):
        return Agreement(*[float("nan")] * 5)
    difference = found - true
    bias, mae = float(difference.mean()), float(np.abs(difference).mean())
    spread = float(difference.std(ddof=1)) if len(true) > 1 else float("nan")
    r2 = float("nan")
    if len(true) > 1 and np.ptp(true) > 0 and np.ptp(found) > 0:
        r2 = float(np.corrcoef(true, found)[0, 1] ** 2)
    return Agreement(bias, bias - 1.96 * spread, bias + 1.96 * spread, r2, mae)


def _total(
    image: NDArray[np.int64], values: NDArray[np.float64] | None, images: int
) -> NDArray[np.float64]:
    return np.bincount(image, weights=values, minlength=images).astype(np.float64)
