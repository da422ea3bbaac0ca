"""Checks of masks: points, coordinates, crossings, areas, and whether they lie in their image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from cvtk.data.checks.chunk import DROP, FIX, Chunk
from cvtk.data.geometry import PolygonFacts, measure_flat
from cvtk.data.masks import to_rle
from cvtk.data.types import RLE
from cvtk.errors import DataError

MANY_POINTS = 10_000


@dataclass
class Outlines:
    """What is known of N masks, by index; NaN where nothing is.

    Attributes:
        extent: (N, 4) left, top, right, bottom in pixels.
        area: (N,) square pixels; of polygons the sum of their parts.
    """

    extent: NDArray[np.float64]
    area: NDArray[np.float64]


def check_outlines(chunk: Chunk, *, crossings: bool = True) -> Outlines:
    """Checks the masks of some annotations.

    Args:
        chunk: The annotations.
        crossings: Whether to look for polygons that cross themselves, which takes longest.
    """
    count = len(chunk.annotations)
    found = Outlines(np.full((count, 4), np.nan), np.full(count, np.nan))
    _measure_rle(chunk, found)
    _measure_polygons(chunk, found, crossings)
    _check_place(chunk, found)
    return found


def _measure_rle(chunk: Chunk, found: Outlines) -> None:
    from pycocotools import mask as api

    for k, segmentation in enumerate(chunk.segmentations):
        image = chunk.images[k]
        if not isinstance(segmentation, RLE) or image is None or not image.size:
            continue
        try:
            rle = to_rle(segmentation, *image.size)
        except DataError as error:
            chunk.tell(k, "error", "mask form", error.message, error.remedy)
            continue
        x, y, w, h = api.toBbox(rle)
        found.extent[k] = (x, y, x + w, y + h)
        found.area[k] = float(api.area(rle))


def _measure_polygons(chunk: Chunk, found: Outlines, crossings: bool) -> None:
    owners: list[int] = []
    polygons: list[list[float]] = []
    for k, segmentation in enumerate(chunk.segmentations):
        for polygon in segmentation if isinstance(segmentation, list) else ():
            if len(polygon) < 6 or len(polygon) % 2:
                text = f"a polygon has fewer than three points ({len(polygon)} numbers; three x, y pairs are 6)"
                if len(polygon) > 6:
                    text = (
                        f"a polygon has {len(polygon)} numbers, which are no x, y pairs"
                    )
                chunk.tell(k, "error", "under three points", text, DROP)
            else:
                owners.append(k)
                polygons.append(polygon)
    if not polygons:
        return
    lengths = np.fromiter((len(p) // 2 for p in polygons), np.int64, len(polygons))
    total = int(lengths.sum()) * 2
    numbers = np.fromiter(chain.from_iterable(polygons), np.float64, total)
    with np.errstate(over="ignore", invalid="ignore"):
        facts = measure_flat(numbers.reshape(-1, 2), lengths, crossings=crossings)
    _check_polygons(chunk, np.array(owners), facts, lengths)
    owner, first = np.unique(np.array(owners), return_index=True)
    found.extent[owner, :2] = np.minimum.reduceat(facts.box[:, :2], first)
    found.extent[owner, 2:] = np.maximum.reduceat(facts.box[:, 2:], first)
    # Parts of an outline that crosses itself may cancel out: that says nothing of its mask.
    areas = np.where(facts.crossing, np.nan, facts.area)
    found.area[owner] = np.add.reduceat(areas, first)


def _check_polygons(
    chunk: Chunk,
    owners: NDArray[np.int64],
    facts: PolygonFacts,
    lengths: NDArray[np.int64],
) -> None:
    for k in np.flatnonzero(facts.crossing):
        text = "a polygon crosses itself, so that its inside is doubtful"
        chunk.tell(
            int(owners[k]), "warning", "crosses itself", text, "Look at its outline."
        )
    for k in np.flatnonzero(lengths > MANY_POINTS):
        text = f"a polygon has {lengths[k]} points"
        chunk.tell(
            int(owners[k]), "warning", "many points", text, "Simplify its outline."
        )
    reach = np.abs(facts.box).max(axis=1)
    with np.errstate(invalid="ignore"):
        limit = 10 * np.nan_to_num(chunk.size[owners].max(axis=1), nan=np.inf) + 1000
        far = reach > limit
    for k in np.flatnonzero(far):
        text = f"a polygon reaches {reach[k]:.3g} pixels, absurdly far outside"
        chunk.tell(int(owners[k]), "error", "coordinate", text, DROP)


def _check_place(chunk: Chunk, found: Outlines) -> None:
    """Tells of masks outside their image or without area, and forgets their extents."""
    extent, size = found.extent, chunk.size
    over = np.column_stack((-extent[:, :2], extent[:, 2:] - size))
    with np.errstate(invalid="ignore"):
        beyond = (extent[:, :2] >= size).any(axis=1)
        gone = np.asarray(beyond | (extent[:, 2:] <= 0).any(axis=1))
        reach = np.nan_to_num(over, nan=-1.0, posinf=1e30).max(axis=1)
    chunk.tell_all(gone, "outside", "its mask lies outside the image")
    for k in np.flatnonzero((reach > 1) & ~gone):
        text = f"its mask reaches {reach[k]:.4g} pixels out of the image"
        chunk.tell(int(k), "warning", "partly outside", text, FIX)
    empty = np.asarray(np.nan_to_num(found.area, nan=1.0) <= 0)
    chunk.tell_all(empty, "zero area", "its mask has no area, and will not train")
    extent[gone | empty] = np.nan
