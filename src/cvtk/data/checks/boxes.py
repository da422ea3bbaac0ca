"""Checks of boxes and stated areas: their form, their place in the image, and whether the mask agrees."""

from __future__ import annotations

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from cvtk.data.checks.chunk import FIX, Chunk
from cvtk.data.masks import area_and_bbox
from cvtk.errors import DataError


def check_boxes(chunk: Chunk, extent: NDArray[np.float64]) -> None:
    """Checks boxes.

    Args:
        chunk: The annotations.
        extent: (N, 4) left, top, right, bottom of their masks in pixels; NaN where unknown.
    """
    corners, flat = chunk.extents()
    with np.errstate(invalid="ignore", over="ignore"):
        thin = (chunk.box[:, 2:] < 1).any(axis=1) & ~flat
        gone = (corners[:, :2] >= chunk.size).any(axis=1)
        gone = (gone | (corners[:, 2:] <= 0).any(axis=1)) & ~flat
        reach = np.maximum(-corners[:, :2], corners[:, 2:] - chunk.size).max(axis=1)
        over = (reach > 1) & ~gone & ~flat
    chunk.tell_all(flat, "zero area", "its box has no area, and will not train")
    chunk.tell_all(
        thin, "under a pixel", "its box is under a pixel, and will not train"
    )
    chunk.tell_all(gone, "outside", "its box lies outside the image")
    for k in np.flatnonzero(over):
        text = f"its box reaches {reach[k]:.4g} pixels out of the image"
        chunk.tell(int(k), "warning", "partly outside", text, FIX)
    apart = _distance(chunk, corners, extent)
    with np.errstate(invalid="ignore"):
        # Rounding, and boxes drawn by hand, may differ a little.
        room = np.maximum(2.0, 0.05 * chunk.box[:, 2:].max(axis=1))
        differs = (apart > room) & ~flat & ~gone
    for k in np.flatnonzero(differs):
        x, y, w, h = _drawn(chunk, int(k))[1]
        # The tip of a sliver draws no pixel: its box may be that of the points or of the pixels.
        if np.abs(corners[k] - (x, y, x + w, y + h)).max() <= room[k]:
            continue
        text = f"its box and the box around its mask differ by {apart[k]:.4g} pixels"
        chunk.tell(int(k), "warning", "box and mask", text, FIX)


def _distance(
    chunk: Chunk, corners: NDArray[np.float64], extent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far (N,) boxes are from the extents of their masks, clipped to the image or not, in pixels."""
    with np.errstate(invalid="ignore", over="ignore"):
        clipped = extent.copy()
        clipped[:, :2] = np.maximum(clipped[:, :2], 0)
        clipped[:, 2:] = np.minimum(clipped[:, 2:], chunk.size)
        to_whole = np.abs(corners - extent).max(axis=1)
        to_clipped = np.abs(corners - clipped).max(axis=1)
        nearest: NDArray[np.float64] = np.minimum(to_whole, to_clipped)
        return nearest


def check_areas(chunk: Chunk, area: NDArray[np.float64]) -> None:
    """Checks stated areas.

    Args:
        chunk: The annotations.
        area: (N,) square pixels of their masks; NaN where unknown.
    """
    stated = np.full(len(chunk.annotations), np.nan)
    missing = 0
    for k, annotation in enumerate(chunk.annotations):
        if isinstance(annotation.area, (int, float)):
            stated[k] = annotation.area
        missing += annotation.area is UNSET or annotation.area is None
    if missing:
        text = f"{missing} annotations have no area; training computes it"
        chunk.tell_set("note", "no area", text, FIX)
    with np.errstate(invalid="ignore"):
        doubtful = np.abs(stated - area) > area_tolerance(area)
    for k in np.flatnonzero(doubtful):
        pixels = _drawn(chunk, int(k))[0]
        # Of thin and of overlapping parts the pixels are not the sum of the outlines' areas.
        if abs(stated[k] - pixels) > area_tolerance(pixels):
            text = f"its area is said to be {stated[k]:.6g}, its mask has {pixels:.6g} square pixels"
            chunk.tell(int(k), "warning", "area and mask", text, FIX)


def area_tolerance(area: NDArray[np.float64] | float) -> NDArray[np.float64] | float:
    """By how many square pixels a stated area may differ from that of the mask."""
    return 10 + 0.1 * area


def _drawn(chunk: Chunk, k: int) -> tuple[float, list[float]]:
    """Area and box of a mask as pycocotools draws it; NaN where it cannot."""
    image, segmentation = chunk.images[k], chunk.segmentations[k]
    nothing = float("nan"), [float("nan")] * 4
    if image is None or not image.size or not segmentation:
        return nothing
    try:
        return area_and_bbox(segmentation, *image.size)
    except DataError:  # told already
        return nothing
