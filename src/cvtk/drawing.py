"""Objects drawn on photographs: translucent masks with an outline, boxes, and readable labels."""

from __future__ import annotations

import colorsys
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from cvtk.errors import DataError, FileError

Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Okabe and Ito (2008), "Color Universal Design": told apart by colour-blind readers too; black is left out.
_OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

# For names that matplotlib's DejaVu cannot write: fonts that come with Linux, Windows and macOS.
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "msgothic.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
)

_MASK_OPACITY = 0.42


def class_colour(index: int) -> Colour:
    """The colour (red, green, blue in 0..255) of the class at an index; each class has its own."""
    if index < len(_OKABE_ITO):
        return _OKABE_ITO[index]
    if index < 2 * len(_OKABE_ITO):
        red, green, blue = _OKABE_ITO[index - len(_OKABE_ITO)]
        return (red * 11 // 20, green * 11 // 20, blue * 11 // 20)
    # The golden ratio spreads any number of hues evenly.
    hue, value = index * 0.618034 % 1, (1.0, 0.75, 0.5)[index % 3]
    red_, green_, blue_ = colorsys.hsv_to_rgb(hue, 0.7, value)
    return (round(red_ * 255), round(green_ * 255), round(blue_ * 255))


def load_image(path: Path) -> Image.Image:
    """Reads an image as it is meant to be seen: RGB, turned as its EXIF orientation says.

    Args:
        path: Any format that Pillow reads.

    Raises:
        FileError: The file is missing or cannot be read.
        DataError: The file is no image, or is cut off.
    """
    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I") or turned.mode == "F":
                values = np.asarray(turned, dtype=np.float64)
                scale = 255 / max(float(values.max()), 1.0)
                turned = Image.fromarray((values * scale).clip(0, 255).astype(np.uint8))
            return turned.convert("RGB")
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such image.", "Check the path.") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: not an image that can be read.", "Replace or remove the file."
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: the image cannot be read ({error}).", "Replace the file."
        ) from error


@functools.lru_cache(maxsize=64)
def _fonts(size: int) -> tuple[Font, ...]:
    """The fonts to try, best first. Pillow's own has ASCII letters only, so it comes last."""
    fonts: list[Font] = []
    spec = importlib.util.find_spec(
        "matplotlib"
    )  # found, not imported: that would take a second
    if spec is not None and spec.origin is not None:
        dejavu = (
            Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        )
        if dejavu.is_file():
            fonts.append(ImageFont.truetype(str(dejavu), size))
    for name in _WIDE_FONTS:
        try:
            fonts.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    fonts.append(ImageFont.load_default(size))
    return tuple(fonts)


def _glyph(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


def can_write(font: Font, text: str) -> bool:
    """Whether a font has every letter of a text, rather than the box that stands for a missing one."""
    missing = _glyph(font, "\U0010fffd")
    return all(
        _glyph(font, character) != missing
        for character in text
        if not character.isspace()
    )


@functools.lru_cache(maxsize=1024)
def font_for(text: str, size: int) -> Font:
    """The first font that can write a text, else the first of all; `size` in pixels."""
    fonts = _fonts(size)
    return next((font for font in fonts if can_write(font, text)), fonts[0])


def writable(text: str) -> bool:
    """Whether this machine has a font for a text."""
    return can_write(font_for(text, 12), text)


def _edge(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The outermost `width` pixels of a mask; what the image border cuts is no edge."""
    inner = np.pad(mask, 1, mode="edge")
    for _ in range(width):
        core = inner[1:-1, 1:-1]
        inner = np.pad(
            core
            & inner[:-2, 1:-1]
            & inner[2:, 1:-1]
            & inner[1:-1, :-2]
            & inner[1:-1, 2:],
            1,
            mode="edge",
        )
    return mask & ~inner[1:-1, 1:-1]


def _paint_mask(
    canvas: NDArray[np.float32], mask: NDArray[Any], colour: Colour, width: int
) -> None:
    """Lays one mask over the canvas (H, W, 3), in place."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    # One more pixel on each side, so that the outline ends at the object and not at its box.
    part = np.s_[
        max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2
    ]
    inside = mask[part].astype(bool)
    edge = _edge(inside, width)
    view, tint = canvas[part], np.array(colour, dtype=np.float32)
    view[inside] = view[inside] * (1 - _MASK_OPACITY) + tint * _MASK_OPACITY
    view[edge] = view[edge] * 0.1 + tint * 0.9


def _place(
    box: NDArray[Any],
    size: tuple[float, float],
    image: tuple[int, int],
    taken: list[tuple[float, ...]],
) -> tuple[float, float]:
    """Where a label goes: at a corner of its box, inside the image, off other labels where there is room."""
    (x, y, w, h), (tw, th) = box, size
    spots = [
        (x, y - th),
        (x, y),
        (x + w - tw, y - th),
        (x, y + h - th),
        (x + w - tw, y + h - th),
        (x, y + h),
    ]
    inside = [
        (
            min(max(a, 0.0), max(image[0] - tw, 0)),
            min(max(b, 0.0), max(image[1] - th, 0)),
        )
        for a, b in spots
    ]
    for a, b in inside:
        if not any(
            a < x1 and a + tw > x0 and b < y1 and b + th > y0
            for x0, y0, x1, y1 in taken
        ):
            return a, b
    return inside[0]


def draw_objects(
    image: Image.Image | NDArray[Any],
    *,
    bboxes: NDArray[Any],
    labels: NDArray[Any],
    texts: Sequence[str],
    masks: Sequence[NDArray[Any]] | None = None,
) -> Image.Image:
    """Draws objects on a copy of an image, large masks below small ones.

    Args:
        image: A Pillow image, or an array (H, W, 3) uint8 in RGB.
        bboxes: (N, 4) boxes x, y, width, height in pixels.
        labels: (N,) index of the class of each, which picks its colour.
        texts: What to write at each, one line; an empty text writes nothing.
        masks: (H, W) arrays, non-zero inside, or None where there are boxes only.

    Returns:
        The drawn image, RGB, as large as the original.
    """
    picture = (
        image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    ).convert("RGB")
    short = min(picture.size)
    line = max(1, round(short / 220))
    colours = [class_colour(int(label)) for label in labels]
    if masks is not None:
        canvas = np.asarray(picture).astype(np.float32)
        for index in sorted(
            range(len(masks)), key=lambda i: -int(np.count_nonzero(masks[i]))
        ):
            _paint_mask(canvas, np.asarray(masks[index]), colours[index], line)
        picture = Image.fromarray(canvas.round().astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for (x, y, w, h), colour in zip(
        np.asarray(bboxes, dtype=float), colours, strict=True
    ):
        pen.rectangle(
            (x, y, max(x + w - 1, x), max(y + h - 1, y)), outline=colour, width=line
        )
    size = max(9, round(short / 26))
    taken: list[tuple[float, ...]] = []
    pad = max(1, size // 6)
    for box, colour, text in zip(bboxes, colours, texts, strict=True):
        if not text:
            continue
        font = font_for(text, size)
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        spot = _place(
            box, (right - left + 2 * pad, bottom - top + 2 * pad), picture.size, taken
        )
        area = (
            *spot,
            spot[0] + right - left + 2 * pad,
            spot[1] + bottom - top + 2 * pad,
        )
        taken.append(area)
        # Black or white, whichever stands out more (luminance as in ITU-R BT.601).
        bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
        pen.rectangle(area, fill=colour)
        ink = (0, 0, 0) if bright else (255, 255, 255)
        pen.text((spot[0] + pad - left, spot[1] + pad - top), text, font=font, fill=ink)
    return picture
