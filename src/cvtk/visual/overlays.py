"""Objects drawn on photographs: translucent masks with an outline, boxes, and readable labels."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cvtk.visual.fonts import font_for

Colour: TypeAlias = tuple[int, int, int]
Style: TypeAlias = Literal["masks", "outlines", "boxes"]
Area: TypeAlias = tuple[float, float, float, float]
"""A rectangle in pixels: left, top, right, bottom."""

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
# For more classes: each as far as can be from those before it, in CIE Lab, to the eyes of whoever sees it worst:
# people with full colour vision, and without red, green or blue cones (simulated as in Machado et al., 2009).
_MORE: tuple[Colour, ...] = (
    (144, 36, 252),
    (108, 36, 0),
    (180, 252, 144),
    (72, 252, 216),
    (108, 36, 108),
    (0, 36, 180),
    (216, 0, 72),
    (144, 108, 252),
    (180, 180, 108),
)
_COLOURS = _OKABE_ITO + _MORE

_MASK_OPACITY = 0.42

_EDGE_OPACITY = 0.94
_SMALL = 12  # pixels; smaller objects would vanish below a second line

# The share of a picture that labels may cover; more would hide the objects they name.
_LABEL_SHARE = 0.1
_FEW = 4


def class_colour(index: int) -> Colour:
    """The colour (red, green, blue in 0..255) of the class at an index; each class has its own.

    Those of the first 16 can be told apart by colour-blind people.
    """
    if index < len(_COLOURS):
        return _COLOURS[index]
    # The golden ratio spreads any number of hues evenly.
    hue, value = index * 0.618034 % 1, (1.0, 0.75, 0.5)[index % 3]
    rgb = colorsys.hsv_to_rgb(hue, 0.7, value)
    return (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))


class Cropped(Protocol):
    """A mask of which only a part is given, such as a `cvtk.data.crops.Crop`; outside of it, it is empty."""

    @property
    def mask(self) -> NDArray[Any]:
        """(h, w), non-zero inside."""

    @property
    def x(self) -> int:
        """The column of the image at which the part begins."""

    @property
    def y(self) -> int:
        """The row of the image at which it begins."""


def draw_objects(
    image: Image.Image | NDArray[Any],
    *,
    bboxes: NDArray[Any],
    labels: NDArray[Any],
    texts: Sequence[str],
    short_texts: Sequence[str] = (),
    masks: Sequence[NDArray[Any]] | Sequence[Cropped] | None = None,
    class_names: Sequence[str] = (),
    style: Style = "masks",
) -> Image.Image:
    """Draws objects on a copy of an image, large masks below small ones.

    Letters and lines are as large as the objects allow. Where all labels together would cover too much of the
    picture, each has its short text, or there are none, and no boxes around masks; then a key in the corner says
    which colour is which class, and how many there are.

    Args:
        image: A Pillow image, or an array (H, W, 3) uint8 in RGB.
        bboxes: (N, 4) boxes x, y, width, height in pixels.
        labels: (N,) index of the class of each, which picks its colour.
        texts: What to write at each, one line; an empty text writes nothing.
        short_texts: What to write where there is no room for that.
        masks: (H, W) arrays, non-zero inside, or parts of them; None where there are boxes only. Each is asked
            for when it is drawn, so that a sequence may make them one at a time.
        class_names: The name of each class, for the key; no key where left out.
        style: "masks": translucent, with boxes; "outlines": the edges of the masks alone, so that what is inside
            can be seen; "boxes": no masks. Objects without masks have boxes in every style.

    Returns:
        The drawn image, RGB, as large as the original.
    """
    picture = Image.fromarray(
        np.array(image.convert("RGB") if isinstance(image, Image.Image) else image)
    )
    boxes = np.asarray(bboxes, dtype=float).reshape(-1, 4)
    colours = [class_colour(int(label)) for label in labels]
    line, letters = _sizes(picture.size, boxes)
    pen = ImageDraw.Draw(picture)
    placed = _Labels(pen, picture.size, letters)
    shown = placed.that_fit(texts, short_texts)
    if masks is not None and style != "boxes":
        opacity = 0.0 if style == "outlines" else _MASK_OPACITY
        for index in np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable"):
            part = _part_of(masks[index])
            _paint_mask(picture, *part, colours[index], line, opacity)
    if masks is None or style == "boxes" or (style == "masks" and shown):
        _draw_boxes(pen, boxes, colours, line)
    for text, colour, box in zip(shown, colours, boxes, strict=False):
        if text:
            placed.add(text, colour, box)
    if class_names and len(boxes) and (placed.left_out or shown is not texts):
        counts = Counter(int(label) for label in labels)
        key = [
            (f"{class_names[k]}: {counts[k]}", class_colour(k)) for k in sorted(counts)
        ]
        _Labels(pen, picture.size, max(10, min(picture.size) // 40)).draw_key(key)
    return picture


def _draw_boxes(
    pen: ImageDraw.ImageDraw,
    boxes: NDArray[np.float64],
    colours: Sequence[Colour],
    line: int,
) -> None:
    for (x, y, w, h), colour in zip(boxes, colours, strict=True):
        corners = (x, y, max(x + w - 1, x), max(y + h - 1, y))
        pen.rectangle(corners, outline=colour, width=line)


def _sizes(image: tuple[int, int], boxes: NDArray[np.float64]) -> tuple[int, int]:
    """The width of lines and the height of letters in pixels, by the image and its typical object."""
    short = min(image)
    line, letters = short / 220, short / 26
    if len(boxes):
        # Objects that reach over a border or have no area still need lines of some size.
        sides = np.sqrt(np.clip(boxes[:, 2], 1, None) * np.clip(boxes[:, 3], 1, None))
        typical = float(np.median(sides))
        line, letters = min(line, typical / 30), min(letters, typical / 5)
    return max(1, round(line)), max(10, round(letters))


def _part_of(mask: NDArray[Any] | Cropped) -> tuple[NDArray[np.bool_], int, int]:
    """The part of a mask that is given, its column and its row."""
    if isinstance(mask, np.ndarray):
        return mask.astype(bool), 0, 0
    return np.asarray(mask.mask, bool), mask.x, mask.y


def _paint_mask(
    picture: Image.Image,
    mask: NDArray[np.bool_],
    x: int,
    y: int,
    colour: Colour,
    line: int,
    opacity: float,
) -> None:
    """Lays one mask, whose corner is at (x, y), over the picture, in place.

    Its outline is a line in its colour, and inside of that a thin one, black or white, whichever is unlike the
    colour: so it can be seen on an object of the same colour, and where two objects of one class touch.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    # One more pixel on each side, so that the outline ends at the object and not at its box.
    around = [
        (int(y + top > 0), int(y + bottom < picture.height)),
        (int(x + left > 0), int(x + right < picture.width)),
    ]
    inside = np.pad(mask[top:bottom, left:right], around)
    corner = (x + left - around[1][0], y + top - around[0][0])
    edge = _edge(inside, line)
    cover = inside * np.uint8(round(255 * opacity))
    cover[edge] = round(255 * _EDGE_OPACITY)
    picture.paste(colour, corner, Image.fromarray(cover))
    if min(bottom - top, right - left) >= _SMALL:
        second = _edge(inside & ~edge, max(1, line // 3))
        cover = second * np.uint8(round(255 * _EDGE_OPACITY))
        picture.paste(_ink_on(colour), corner, Image.fromarray(cover))


def _edge(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The outermost `width` pixels of a mask; what the image border cuts is no edge."""
    inner = mask
    for _ in range(width):
        outer, inner = inner, inner.copy()
        inner[1:] &= outer[:-1]
        inner[:-1] &= outer[1:]
        inner[:, 1:] &= outer[:, :-1]
        inner[:, :-1] &= outer[:, 1:]
    return mask & ~inner


def _ink_on(colour: Colour) -> Colour:
    """Black or white, whichever stands out more from a colour (luminance as in ITU-R BT.601)."""
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
    return (0, 0, 0) if bright else (255, 255, 255)


@dataclass
class _Labels:
    """Writes labels on coloured plates, each beside its box and none over another.

    Attributes:
        pen: Draws on the picture.
        size: Width and height of the picture in pixels.
        letters: Height of the letters in pixels.
        left_out: How many labels found no room.
    """

    pen: ImageDraw.ImageDraw
    size: tuple[int, int]
    letters: int
    left_out: int = 0
    _taken: list[Area] = field(default_factory=list)

    def that_fit(self, *choices: Sequence[str]) -> Sequence[str]:
        """The first of several texts for all objects that leaves enough of the picture; a few always do."""
        for texts in choices:
            written = [text for text in texts if text]
            if len(written) <= _FEW:
                return texts
            width, height = self._plate(max(written, key=len))
            room = _LABEL_SHARE * self.size[0] * self.size[1]
            if len(written) * width * height <= room:
                return texts
        return ()

    def add(self, text: str, colour: Colour, box: NDArray[np.float64]) -> None:
        """Writes a label at a corner of a box, or counts it as left out."""
        width, height = self._plate(text)
        for left, top in self._corners(box, width, height):
            area = (left, top, left + width, top + height)
            if not any(_overlap(area, other) for other in self._taken):
                break
        else:
            self.left_out += 1
            return
        self._write(text, colour, area)

    def draw_key(self, entries: Sequence[tuple[str, Colour]]) -> None:
        """Writes the names of the classes below each other, on white in the lower left corner."""
        plates = [self._plate(name) for name, _ in entries]
        width = max(width for width, _ in plates)
        bottom = float(self.size[1] - self._pad)
        top = bottom - sum(height for _, height in plates)
        frame = 2 * self._pad
        self.pen.rectangle(
            (0, top - frame, width + frame, self.size[1]), fill=(255, 255, 255)
        )
        for (name, colour), (_, height) in zip(entries, plates, strict=True):
            self._write(name, colour, (0.0, top, width, top + height))
            top += height

    def _plate(self, text: str) -> tuple[float, float]:
        """Width and height of the plate under a text, in pixels."""
        left, top, right, bottom = self._bounds(text)
        return right - left + 2 * self._pad, bottom - top + 2 * self._pad

    def _corners(
        self, box: NDArray[np.float64], width: float, height: float
    ) -> list[tuple[float, float]]:
        """Where a plate may lie, best first: above, below and in its box, but inside the picture."""
        x, y, w, h = box
        right = x + w - width
        rows = (y - height, y + h, y, y + h - height)
        spots = [(column, row) for row in rows for column in (x, right)]
        most_right = max(self.size[0] - width, 0)
        most_down = max(self.size[1] - height, 0)
        return [
            (min(max(left, 0.0), most_right), min(max(top, 0.0), most_down))
            for left, top in spots
        ]

    def _write(self, text: str, colour: Colour, area: Area) -> None:
        self._taken.append(area)
        self.pen.rectangle(area, fill=colour)
        left, top, _, _ = self._bounds(text)
        start = (area[0] + self._pad - left, area[1] + self._pad - top)
        self.pen.text(
            start, text, font=font_for(text, self.letters), fill=_ink_on(colour)
        )

    def _bounds(self, text: str) -> tuple[float, float, float, float]:
        return self.pen.textbbox((0, 0), text, font=font_for(text, self.letters))

    @property
    def _pad(self) -> int:
        return max(1, self.letters // 6)


def _overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] and a[2] > b[0] and a[1] < b[3] and a[3] > b[1]
