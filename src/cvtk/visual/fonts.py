"""Fonts for labels in any script: those that matplotlib and the operating systems bring."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TypeAlias

from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# For names that matplotlib's DejaVu cannot write: fonts that come with Linux, Windows and macOS.
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "msgothic.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
)

# No font has a glyph for this code point, so it is drawn as the box for missing ones.
_MISSING = "\U0010fffd"


@functools.lru_cache(maxsize=1024)
def font_for(text: str, size: int) -> Font:
    """The first font that can write a text, or the first of all where none can; `size` in pixels."""
    fonts = _fonts(size)
    return next((font for font in fonts if can_write(font, text)), fonts[0])


def writable(text: str) -> bool:
    """Whether this machine has a font for a text."""
    return can_write(font_for(text, 12), text)


def can_write(font: Font, text: str) -> bool:
    """Whether a font has a glyph for every letter of a text, not only the box for missing ones."""
    missing = _glyph(font, _MISSING)
    letters = [character for character in text if not character.isspace()]
    return all(_glyph(font, letter) != missing for letter in letters)


def _glyph(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=64)
def _fonts(size: int) -> tuple[Font, ...]:
    """The fonts to try, best first. Pillow's own has ASCII letters only, so it comes last."""
    fonts: list[Font] = []
    for name in (*_dejavu(), *_WIDE_FONTS):
        try:
            fonts.append(ImageFont.truetype(name, size))
        except OSError:
            continue  # not on this machine
    fonts.append(ImageFont.load_default(size))
    return tuple(fonts)


def _dejavu() -> list[str]:
    """The font file that comes with matplotlib, which is found but not imported: that takes a second."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [str(folder / "DejaVuSans.ttf")]
