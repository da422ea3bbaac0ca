"""Images and masks between their own size and that of a network.

Images are scaled as OpenCV does it, with which MMDetection reads them (to the bit, where they become smaller), masks
as PyTorch does it. Both take four neighbours for each pixel, however small the result; Pillow's `resize`, which a few
architectures ask for, takes more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk.exported.description import ImageForm, MaskForm

Size = tuple[int, int]  # width and height


def fit(
    image: NDArray[np.uint8], form: ImageForm
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """The picture that a network takes of an image.

    Args:
        image: (H, W, 3), red, green, blue.
        form: What the network takes.

    Returns:
        The picture, (height, width, 3), and its pixels per pixel of the image, across and down.
    """
    height, width = image.shape[:2]
    size = scaled_size((width, height), form)
    columns, rows = form.canvas or size
    picture = np.full((rows, columns, 3), form.fill, dtype=np.uint8)
    scaler = resized if form.resampling == "opencv" else resized_by_pillow
    picture[: size[1], : size[0]] = scaler(image, size)
    return picture, (size[0] / width, size[1] / height)


def scaled_size(size: Size, form: ImageForm) -> Size:
    """The size of an image after scaling, rounded as `mmcv.rescale_size` does."""
    if not form.keep_ratio:
        return form.scale
    longer, shorter = max(form.scale), min(form.scale)
    factor = min(longer / max(size), shorter / min(size))
    return max(1, int(size[0] * factor + 0.5)), max(1, int(size[1] * factor + 0.5))


def resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """An image at another size, as OpenCV's INTER_LINEAR makes it: by whole numbers, with weights of 11 bits.

    Args:
        image: (H, W, 3).
        size: Width and height of the result.
    """
    left, right, left_weight, right_weight = _neighbours(image.shape[1], size[0])
    above, below, above_weight, below_weight = _neighbours(image.shape[0], size[1])
    rows = image[:, left] * left_weight[:, None]
    rows += image[:, right] * right_weight[:, None]
    rows >>= 4
    upper = rows[above] * above_weight[:, None, None] >> 16
    lower = rows[below] * below_weight[:, None, None] >> 16
    return (upper + lower + 2 >> 2).astype(np.uint8)


def resized_by_pillow(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """An image at another size, as Pillow's `resize` makes it; see `resized`."""
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _neighbours(old: int, new: int) -> tuple[NDArray[np.int32], ...]:
    """For each of `new` pixels in a row the two of `old` that it lies between, and their weights, 0 to 2048."""
    place = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    place = place.clip(0, old - 1)  # what lies outside takes the pixel at the edge
    first = place.astype(np.int32)
    share = place - first
    weights = [np.rint(part * 2048).astype(np.int32) for part in (1 - share, share)]
    return first, np.minimum(first + 1, old - 1), *weights


def scaled(
    values: NDArray[np.generic],
    size: Size,
    part: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """A plane of numbers, or a part of it, at another size, by linear interpolation.

    Args:
        values: (h, w).
        size: Width and height of the result.
        part: What of it to take: left, top, right, bottom; everything where left out.
    """
    plane = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return plane.transform(
        size,
        Image.Transform.EXTENT,
        part or (0, 0, *plane.size),
        Image.Resampling.BILINEAR,
    )


def mask_of_image(
    values: NDArray[np.float32], form: MaskForm, scale: tuple[float, float], size: Size
) -> NDArray[np.bool_]:
    """A mask that covers the image or the network's input, as large as the image.

    Args:
        values: (h, w).
        form: What they mean.
        scale: Pixels of the input per pixel of the image, across and down.
        size: Width and height of the image.

    Returns:
        (H, W), True inside.
    """
    if form.covers == "image":
        height, width = values.shape
        return _above(values, form.threshold, size, (width, height))
    rows, columns = (side * form.stride for side in values.shape)
    picture = np.asarray(scaled(values, (columns, rows)))
    across, down = scale
    if form.rounded_up:
        across = columns / math.ceil(columns / across)
        down = rows / math.ceil(rows / down)
    part = size[0] * across, size[1] * down
    return _above(picture, form.threshold, size, part)


def _above(
    values: NDArray[np.float32],
    threshold: float,
    size: Size,
    part: tuple[float, float],
) -> NDArray[np.bool_]:
    """Where a plane is above a threshold once it is scaled.

    Between values that are not above it none is, so only what is near others is scaled: most objects are small.

    Args:
        values: (h, w).
        threshold: Above which a pixel is inside.
        size: Width and height of the result.
        part: Width and height of the upper left part of the plane that is scaled.

    Returns:
        (H, W), True inside.
    """
    mask = np.zeros(size[::-1], dtype=np.bool_)
    inside = values > threshold
    rows, columns = (
        np.flatnonzero(inside.any(axis=1)),
        np.flatnonzero(inside.any(axis=0)),
    )
    if not len(rows):
        return mask
    across, down = part[0] / size[0], part[1] / size[1]
    left, right = _reached(columns, across, size[0])
    top, bottom = _reached(rows, down, size[1])
    if right <= left or bottom <= top:
        return mask
    window = (left * across, top * down, right * across, bottom * down)
    found = scaled(values, (right - left, bottom - top), window)
    mask[top:bottom, left:right] = np.asarray(found) > threshold
    return mask


def _reached(places: NDArray[np.intp], scale: float, length: int) -> tuple[int, int]:
    """The first pixel of a scaled row that pixels at some places have a share in, and the one behind the last."""
    first = math.floor((places[0] - 0.5) / scale) - 1
    last = math.ceil((places[-1] + 1.5) / scale) + 1
    return max(first, 0), min(last, length)


def mask_of_box(
    values: NDArray[np.float32],
    form: MaskForm,
    corners: NDArray[np.float64],
    size: Size,
) -> NDArray[np.bool_]:
    """A mask that covers its box, put into a mask as large as the image.

    Args:
        values: (h, w).
        form: What they mean.
        corners: The box in the image: left, top, right, bottom.
        size: Width and height of the image.

    Returns:
        (H, W), True inside.
    """
    mask = np.zeros(size[::-1], dtype=np.bool_)
    left, top = np.floor(np.maximum(corners[:2] - 1, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(corners[2:] + 1, size)).astype(int)
    if right <= left or bottom <= top:
        return mask
    # A frame of zeros, for outside its box a mask is 0: near the edge the two are mixed.
    framed = np.pad(values, 1)
    per_pixel = np.array(values.shape[::-1]) / (corners[2:] - corners[:2])
    start = ((left, top) - corners[:2]) * per_pixel + 1
    end = ((right, bottom) - corners[:2]) * per_pixel + 1
    found = scaled(framed, (right - left, bottom - top), (*start, *end))
    mask[top:bottom, left:right] = np.asarray(found) > form.threshold
    return mask
