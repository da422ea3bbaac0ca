"""Masks in their three forms: polygons, run lengths (RLE) and bitmaps.

Pixel rules are those of pycocotools, so that areas here are the areas that evaluation uses. Everything
that goes to its C code is checked first: it believes what it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.data.types import RLE, Polygons
from cvtk.errors import DataError
from cvtk.io import CocoRLE, encode_mask

Bitmap: TypeAlias = NDArray[np.uint8]

# Larger than any photograph or scan; a declared size beyond it is a mistake, and would fill the memory.
MAX_PIXELS = 2**30
_LONGEST = 2e6
_REMEDY = (
    "Label this object again, or drop it with `cvtk data check FILE --fix OUT.json`."
)


def require_size(width: object, height: object) -> tuple[int, int]:
    """Checks a size in pixels.

    Returns:
        (width, height).

    Raises:
        DataError: One is missing or below 1, or the image would be over 2**30 pixels.
    """
    if (
        not isinstance(width, int)
        or not isinstance(height, int)
        or width < 1
        or height < 1
    ):
        raise DataError(
            f"The image has no usable size (width {width!r}, height {height!r})."
        )
    if width * height > MAX_PIXELS or max(width, height) > 10**6:
        raise DataError(
            f"The image is said to be {width} x {height} pixels, which no image is."
        )
    return width, height


def decode_counts(text: str | bytes) -> NDArray[np.int64]:
    """The run lengths of COCO's compressed counts.

    Five bits a character from ASCII 48 on, the sixth says "more follows", and from the fourth run on the
    difference to the run two before (`rleFrString` in pycocotools' maskApi.c).

    Raises:
        DataError: The text is not of this form.
    """
    try:
        code = np.frombuffer(
            text.encode("ascii") if isinstance(text, str) else text, np.uint8
        ).astype(np.int64)
    except UnicodeEncodeError:
        raise DataError(
            "The RLE counts are not COCO's compressed text.", _REMEDY
        ) from None
    code = code - 48
    if not len(code):
        return np.zeros(0, np.int64)
    if code.min() < 0 or code.max() > 63 or code[-1] & 32:
        raise DataError(
            "The RLE counts are not COCO's compressed text, or were cut off.", _REMEDY
        )
    last = (code & 32) == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(code)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 9:
        raise DataError("The RLE counts hold a run longer than any image.", _REMEDY)
    value: NDArray[np.int64] = np.add.reduceat((code & 31) << (5 * place), starts)
    negative = (code[ends] & 16) != 0
    value = np.where(negative, value - (np.int64(1) << (5 * (place[ends] + 1))), value)
    value[1::2] = np.cumsum(value[1::2])
    value[2::2] = np.cumsum(value[2::2])
    return value


def rle_counts(rle: RLE) -> NDArray[np.int64]:
    """The run lengths of an RLE, background first; they add up to height times width.

    Raises:
        DataError: They do not, or one is negative.
    """
    require_size(rle.size[1], rle.size[0])
    if isinstance(rle.counts, str):
        counts = decode_counts(rle.counts)
    else:
        try:
            counts = np.asarray(rle.counts, dtype=np.int64).reshape(-1)
        except OverflowError:
            raise DataError(
                "The RLE counts hold a run longer than any image.", _REMEDY
            ) from None
    total = rle.size[0] * rle.size[1]
    if (counts < 0).any() or (counts > total).any() or int(counts.sum()) != total:
        raise DataError(
            f"The RLE counts do not add up to its size of {rle.size[0]} x {rle.size[1]} pixels.",
            _REMEDY,
        )
    return counts


def check_polygons(polygons: Polygons, width: int, height: int) -> None:
    """Checks that polygons can be drawn in an image of this size (pixels).

    Raises:
        DataError: One has under three points, an odd count of numbers, or points absurdly far outside.
    """
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise DataError(
                f"A polygon has {len(polygon)} numbers; three points need 6, as x, y pairs.",
                _REMEDY,
            )
        points = np.asarray(polygon, dtype=np.float64)
        if not np.isfinite(points).all():
            raise DataError("A polygon has a coordinate that is not a number.", _REMEDY)
        with np.errstate(over="ignore"):
            steps = np.abs(np.diff(points.reshape(-1, 2), axis=0)).max(axis=1).sum()
        if (
            steps > _LONGEST
        ):  # pycocotools fills the memory with the points of such an outline
            raise DataError(
                f"A polygon has an outline of {steps:.3g} pixels; no object has.",
                _REMEDY,
            )
        far = 10 * max(width, height) + 1000
        if np.abs(points).max() > far:
            raise DataError(
                f"A polygon reaches {np.abs(points).max():.3g} pixels, far outside its image of "
                f"{width} x {height}.",
                _REMEDY,
            )


def to_rle(segmentation: Polygons | RLE, width: int, height: int) -> dict[str, Any]:
    """A mask as pycocotools wants it: `{"size": [h, w], "counts": bytes}`.

    Args:
        segmentation: Polygons (the union of them) or an RLE.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        DataError: The mask cannot be drawn, or is of another size than the image.
    """
    from pycocotools import mask as api

    require_size(width, height)
    if isinstance(segmentation, RLE):
        if tuple(segmentation.size) != (height, width):
            raise DataError(
                f"The RLE mask is {segmentation.size[1]} x {segmentation.size[0]} pixels, "
                f"its image {width} x {height}.",
                _REMEDY,
            )
        counts = rle_counts(segmentation).tolist()
        found: dict[str, Any] = api.frPyObjects(
            {"size": [height, width], "counts": counts}, height, width
        )
        return found
    check_polygons(segmentation, width, height)
    merged: dict[str, Any] = api.merge(api.frPyObjects(segmentation, height, width))
    return merged


def to_bitmap(segmentation: Polygons | RLE, width: int, height: int) -> Bitmap:
    """A mask as (height, width) uint8 of 0 and 1. Raises as `to_rle` does."""
    from pycocotools import mask as api

    bitmap: Bitmap = api.decode(to_rle(segmentation, width, height))
    return bitmap


def from_bitmap(bitmap: NDArray[Any]) -> RLE:
    """A bitmap (height, width) of zero and non-zero as compressed RLE."""
    rle = encode_mask(bitmap)
    return RLE((rle["size"][0], rle["size"][1]), rle["counts"])


def bitmap_box(bitmap: NDArray[Any]) -> list[float]:
    """The box [x, y, width, height] around what is not zero in a bitmap (height, width); it is not empty."""
    rows = np.flatnonzero(bitmap.any(axis=1))
    columns = np.flatnonzero(bitmap.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]


def area_and_bbox(
    segmentation: Polygons | RLE, width: int, height: int
) -> tuple[float, list[float]]:
    """The pixels of a mask, and its box [x, y, width, height], as pycocotools counts them."""
    from pycocotools import mask as api

    rle = to_rle(segmentation, width, height)
    return float(api.area(rle)), [float(v) for v in api.toBbox(rle)]


def boxes_around(masks: Sequence[CocoRLE]) -> NDArray[np.float64]:
    """(N, 4) the boxes x, y, width, height around masks, as pycocotools has them: zeros for an empty one."""
    from pycocotools import mask as api

    boxes = [api.toBbox(mask) for mask in masks]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def iou(a: Polygons | RLE, b: Polygons | RLE, width: int, height: int) -> float:
    """Intersection over union of two masks of one image, 0 to 1."""
    from pycocotools import mask as api

    return float(
        api.iou([to_rle(a, width, height)], [to_rle(b, width, height)], [0])[0, 0]
    )


def box_polygon(x: float, y: float, w: float, h: float) -> list[float]:
    """The four corners of a box as a polygon."""
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def ellipse_polygon(
    cx: float, cy: float, rx: float, ry: float, angle: float = 0, points: int = 72
) -> list[float]:
    """An ellipse as a polygon of equal area.

    Args:
        cx: Centre, pixels.
        cy: Centre, pixels.
        rx: Half axis along x before turning, pixels.
        ry: Half axis along y before turning, pixels.
        angle: Clockwise as seen in an image (y down), degrees.
        points: How many corners.
    """
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    # A polygon with corners on the curve is smaller than the ellipse: grow it to the same area.
    grow = np.sqrt(2 * np.pi / points / np.sin(2 * np.pi / points))
    x, y = rx * grow * np.cos(t), ry * grow * np.sin(t)
    a = np.deg2rad(angle)
    turned = np.stack(
        (cx + x * np.cos(a) - y * np.sin(a), cy + x * np.sin(a) + y * np.cos(a)), axis=1
    )
    return [float(v) for v in turned.ravel()]


def turned_box(
    x: float, y: float, w: float, h: float, angle: float, *, about_centre: bool
) -> list[float]:
    """The corners of a box turned clockwise by `angle` degrees about its centre or its top left corner."""
    corners = np.array(box_polygon(x, y, w, h)).reshape(4, 2)
    pivot = np.array([x + w / 2, y + h / 2] if about_centre else [x, y])
    a = np.deg2rad(angle)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return [float(v) for v in ((corners - pivot) @ turn + pivot).ravel()]


def polygon_box(polygons: Polygons) -> list[float]:
    """The box [x, y, width, height] around the points of polygons, in pixels."""
    points = np.concatenate(
        [np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in polygons]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    return [
        float(low[0]),
        float(low[1]),
        float(high[0] - low[0]),
        float(high[1] - low[1]),
    ]
