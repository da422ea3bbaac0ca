"""TIFF as microscopes and scanners write it: pages, and channels that are not red, green and blue."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.reading import Reading
from cvtk.errors import DataError

SUFFIXES = frozenset({".tif", ".tiff"})
_CHANNELS = "CS"  # axes, as tifffile names them: channels, and the samples of a pixel
_ORIENTATION = 274  # the tag
_8_BITS = (np.dtype(np.uint8), np.dtype(bool))


@dataclass(frozen=True)
class Stack:
    """What a TIFF holds.

    Attributes:
        height: Of its first page as displayed, in pixels.
        width: The same.
        pages: How many pictures.
        channels: Of the first.
        is_rgb: Whether these are red, green and blue, and perhaps transparency.
        is_deep: Whether its values have more than 8 bits.
        is_plain: Whether the first page is what any program shows: grey of any depth, or colours of 8 bits.
        orientation: EXIF's, 1 (upright) to 8.
    """

    height: int
    width: int
    pages: int
    channels: int
    is_rgb: bool
    is_deep: bool
    is_plain: bool
    orientation: int


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as TIFF does, or as BigTIFF, in either order of bytes."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def look(data: Path | bytes) -> Stack | None:
    """What a TIFF holds, from its header; None where it is not one that tifffile understands."""
    import tifffile

    try:
        with tifffile.TiffFile(_source(data)) as file:
            return _stack(file)
    except (
        Exception
    ):  # whatever a broken file leads to: who reads the pixels tells what is wrong
        return None


def read_pixels(data: bytes, reading: Reading) -> NDArray[Any]:
    """One picture of a TIFF, turned as it is displayed, with its values as they are stored.

    Args:
        data: The content of the file.
        reading: Which page, and which channels.

    Returns:
        (height, width) or (height, width, 3).

    Raises:
        DataError: There is no such page or channel, or nobody said which channels to take. The message goes on
            after the name of the file.
    """
    import tifffile

    with tifffile.TiffFile(_source(data)) as file:
        stack = _stack(file)
        if reading.page > stack.pages:
            raise DataError(
                f"it has {stack.pages} pages, and page {reading.page} is wanted."
            )
        left = reading.page - 1
        for series in file.series:
            if left < _page_count(series):
                break
            left -= _page_count(series)
        values = _values_of(series, left)
        first = series.keyframe
        values = _turned(values, _orientation_of(first))
        if first.photometric.name == "MINISWHITE":
            values = ~values if values.dtype.kind in "bu" else -values
        return pick_channels(values, reading, is_rgb=_is_rgb(first))


def pick_channels(
    values: NDArray[Any], reading: Reading, *, is_rgb: bool
) -> NDArray[Any]:
    """The channels that a network sees: one, (height, width), or three, (height, width, 3).

    Args:
        values: (height, width, channels).
        reading: Which of them; where it names none, the only one, or red, green and blue.
        is_rgb: Whether the first three are these.

    Raises:
        DataError: There is no such channel, or nobody said which to take.
    """
    count = values.shape[2]
    chosen = reading.channels
    if not chosen and (count in (1, 3) or is_rgb or reading.to_be_seen):
        chosen = (1,) if count < 3 else (1, 2, 3)
    if not chosen:
        raise DataError(
            f"it has {count} channels, and a network sees three. Name those: --channels 1,2,3, or one alone."
        )
    if max(chosen) > count:
        raise DataError(
            f"it has {count} channels, and channel {max(chosen)} is wanted."
        )
    picked = values[..., [number - 1 for number in chosen]]
    return picked[..., 0] if len(chosen) == 1 else picked


def _source(data: Path | bytes) -> Any:
    return data if isinstance(data, Path) else io.BytesIO(data)


def _stack(file: Any) -> Stack:
    series, first = file.series[0], file.series[0].keyframe
    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels = math.prod(sizes.get(axis, 1) for axis in _CHANNELS)
    orientation = _orientation_of(first)
    height, width = sizes["Y"], sizes["X"]
    if orientation >= 5:
        height, width = width, height
    is_deep = series.dtype not in _8_BITS
    # CMYK and the like are colours of a screen too, and so is grey with transparency.
    alpha = [extra for extra in first.extrasamples if extra.name != "UNSPECIFIED"]
    has_colours = first.photometric.name not in ("MINISBLACK", "MINISWHITE")
    is_shown = "C" not in sizes and (has_colours or channels == 1 + len(alpha))
    return Stack(
        height=height,
        width=width,
        pages=sum(_page_count(each) for each in file.series),
        channels=channels,
        is_rgb=_is_rgb(first),
        is_deep=is_deep,
        is_plain=channels == 1 or (is_shown and not is_deep),
        orientation=orientation,
    )


def _page_count(series: Any) -> int:
    """How many pictures a series holds: slices, times and whatever else is no channel."""
    sizes = zip(series.axes, series.shape, strict=True)
    return math.prod(size for axis, size in sizes if axis not in "YX" + _CHANNELS)


def _values_of(series: Any, number: int) -> NDArray[Any]:
    """The picture of a number, from 0, as (height, width, channels); no other one is read, if that can be."""
    axes, shape, pages = series.axes, series.shape, series.pages
    outer = [k for k, axis in enumerate(axes) if axis not in "YX" + _CHANNELS]
    place = dict(
        zip(outer, np.unravel_index(number, [shape[k] for k in outer]), strict=True)
    )
    wanted = tuple(place.get(k, slice(None)) for k in range(len(axes)))
    inner = len(series.keyframe.shape)  # axes that one page of the file has by itself
    split = len(axes) - inner
    if split >= 0 and math.prod(shape[:split]) == len(pages):
        numbers = np.arange(len(pages)).reshape(shape[:split])[wanted[:split]]
        planes = [pages[k].asarray()[wanted[split:]] for k in np.ravel(numbers)]
        values = np.stack(planes).reshape(np.shape(numbers) + planes[0].shape)
    else:
        values = series.asarray()[wanted]
    kept = [axis for k, axis in enumerate(axes) if k not in outer]
    order = ["Y", "X", *(axis for axis in _CHANNELS if axis in kept)]
    values = values.transpose([kept.index(axis) for axis in order])
    return values.reshape(*values.shape[:2], -1)


def _is_rgb(page: Any) -> bool:
    return page.photometric.name in ("RGB", "YCBCR") and page.samplesperpixel >= 3


def _orientation_of(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    return tag.value if tag is not None and tag.value in range(1, 9) else 1


def _turned(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An array (height, width, channels) as EXIF's orientation displays it."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values
