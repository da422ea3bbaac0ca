"""Pixels as networks and people see them: 8 bits of red, green and blue, whatever a file or an array holds."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data import tiff
from cvtk.data.intensity import to_8_bits
from cvtk.data.reading import USUAL, Reading
from cvtk.errors import DataError

# As OpenCV's, and twice what Pillow warns of. Larger files are damaged, or made to fill the memory.
_MOST_PIXELS = 2**30
DARK = 16  # of 255: 16 bits with nothing above this are those of a camera of 12 bits


def decode(
    data: bytes,
    reading: Reading,
    *,
    formats: tuple[str, ...] | None = None,
    most_pixels: float = math.inf,
) -> NDArray[np.uint8]:
    """The content of an image file as (height, width, 3), turned as its EXIF orientation says.

    Args:
        data: The content.
        reading: How it is read.
        formats: Those that are taken, as Pillow calls them; None: all that it reads.
        most_pixels: Of the image; a larger one is refused before it is decoded.

    Raises:
        DataError: It has no such page or channels, or too many pixels; the message goes on after the name of
            the file.
        Exception: What Pillow or tifffile raises for a broken file.
    """
    from PIL import ImageOps

    if tiff.is_tiff(data) and (formats is None or "TIFF" in formats):
        stack = tiff.look(data)
        if stack and not (stack.is_plain and reading == Reading(reading.intensity)):
            _require_size(stack.width, stack.height * stack.channels, 3 * most_pixels)
            values = tiff.read_pixels(data, reading)
            return _scaled(values, reading, together=stack.is_rgb)
    with open_image(data, formats) as image:
        width, height = image.size
        _require_size(width, height, most_pixels)
        if reading.page > 1:
            raise DataError(f"it has 1 page, and page {reading.page} is wanted.")
        if image.format == "PNG" and is_deep(image) and image.mode.startswith("RGB"):
            values = _deep_colours(data)
        else:
            ImageOps.exif_transpose(image, in_place=True)  # copies of scans are large
            values = _values_of(image)
    if reading.channels:
        values = tiff.pick_channels(np.atleast_3d(values), reading, is_rgb=True)
    return _scaled(values, reading, together=True)


def to_rgb(image: Any, reading: Reading = USUAL) -> NDArray[np.uint8]:
    """An array or a Pillow image, turned as its EXIF orientation says, as (height, width, 3) uint8.

    Args:
        image: A Pillow image; or an array (H, W) in grey, or (H, W, 3 or 4) in RGB, or of any channels where
            `reading` says which to take. Values of more than 8 bits are scaled; transparency is ignored.
        reading: As for files.

    Raises:
        ValueError: It has another shape, or no pixels.
        DataError: It has no such channels.
    """
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        values = _values_of(ImageOps.exif_transpose(image))
    else:
        values = np.asarray(image)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"{values.shape} is not the shape of an image")
    values = np.atleast_3d(values)
    is_rgb = values.shape[2] in (3, 4)
    if not (is_rgb or values.shape[2] == 1 or reading.channels):
        raise ValueError(f"{values.shape} is not the shape of an image")
    picked = tiff.pick_channels(values, reading, is_rgb=is_rgb)
    return _scaled(picked, reading, together=is_rgb)


def _require_size(width: int, height: int, most_pixels: float) -> None:
    if width * height > most_pixels:
        raise DataError(
            f"it has {width} x {height} pixels, more than the {most_pixels:,.0f} that are taken.",
            "Make it smaller, or cut it into parts.",
        )


def open_image(file: bytes | Path, formats: tuple[str, ...] | None = None) -> Any:
    """An image as Pillow opens it; large scans are no attack here.

    Raises:
        Exception: What Pillow raises for a broken file, or one beyond all sizes.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS // 2
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    return Image.open(source, formats=formats)


def is_deep(image: Any) -> bool:
    """Whether a Pillow image has more than 8 bits for each value, in its file if not in Pillow's hands."""
    raw = str(image.tile[0][3]) if getattr(image, "tile", None) else ""
    return image.mode == "F" or image.mode.startswith("I") or ";16" in raw


def _values_of(image: Any) -> NDArray[Any]:
    """The values of a Pillow image: (height, width) of any depth, or (height, width, 3) of 8 bits."""
    deep = image.mode == "F" or image.mode.startswith("I")
    return np.asarray(image if deep or image.mode == "RGB" else image.convert("RGB"))


def _deep_colours(data: bytes) -> NDArray[Any]:
    """A PNG of 16 bits in colour as (height, width, 3), which Pillow reads with 8 bits alone."""
    try:
        import cv2
    except ImportError:
        raise DataError(
            "it has colours of 16 bits, which are read with OpenCV, and that is not installed.",
            "Install it with: pip install opencv-python-headless",
        ) from None
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("broken PNG")
    return np.asarray(values[..., 2::-1])


def _scaled(
    values: NDArray[Any], reading: Reading, *, together: bool
) -> NDArray[np.uint8]:
    """Values (height, width) or (height, width, 3) as 8 bits of RGB.

    Red, green and blue are scaled together, so that colours stay; channels of a microscope each by itself, since one
    may be a hundred times brighter than the next.
    """
    if values.dtype == bool:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype != np.uint8:
        if together or values.ndim == 2:
            values = to_8_bits(values, reading.intensity)
        else:
            planes = np.moveaxis(values, 2, 0)
            scaled = [to_8_bits(plane, reading.intensity) for plane in planes]
            values = np.stack(scaled, axis=2)
    if values.ndim == 2:
        values = np.stack([values] * 3, axis=2)
    return np.ascontiguousarray(values)


def is_dark(image: Any) -> bool:
    """Whether the upper 8 of 16 bits of a Pillow image are nearly black: a camera of 12 bits wrote it."""
    if not image.mode.startswith("I"):
        return False
    low, high = image.getextrema()
    return bool(low >= 0 and 0 < high < DARK << 8)
