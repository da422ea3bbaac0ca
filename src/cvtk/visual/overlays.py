"""Objects drawn on photographs: translucent masks with an outline, boxes, and readable labels."""

from __future__ import annotations

import colorsys
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

_MASK_OPACITY = 0.42

# The share of a picture that labels may cover; more would hide the objects they name.
_LABEL_SHARE = 0.2


def class_colour(index: int) -> Colour:
    """The colour (red, green, blue in 0..255) of the class at an index; each class has its own."""
    if index < len(_OKABE_ITO):
        return _OKABE_ITO[index]
    if index < 2 * len(_OKABE_ITO):
        red, green, blue = _OKABE_ITO[index - len(_OKABE_ITO)]
        return (red * 11 // 20, green * 11 // 20, blue * 11 // 20)
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
    masks: Sequence[NDArray[Any]] | Sequence[Cropped] | None = None,
    class_names: Sequence[str] = (),
    style: Style = "masks",
) -> Image.Image:
    """Draws objects on a copy of an image, large masks below small ones.

    Letters and lines are as large as the objects allow. Where objects are so many that their labels would
    cover each other, or too much of the picture, those that come last have none; then a key in the corner
    says which colour is which class.

    Args:
        image: A Pillow image, or an array (H, W, 3) uint8 in RGB.
        bboxes: (N, 4) boxes x, y, width, height in pixels.
        labels: (N,) index of the class of each, which picks its colour.
        texts: What to write at each, one line; an empty text writes nothing.
        masks: (H, W) arrays, non-zero inside, or parts of them; None where there are boxes only. Each is asked
            for when it is drawn, so that a sequence may make them one at a time.
        class_names: The name of each class, for the key; no key where left out.
        style: "masks": translucent, with boxes; "outlines": the edges of the masks alone, so that what is inside
            can be seen; "boxes": no masks. Objects without masks have boxes in every style.

    Returns:
        The drawn image, RGB, as large as the original.
    """
    if isinstance(image, Image.Image):
        image = image.convert("RGB")
    canvas = np.array(image)
    boxes = np.asarray(bboxes, dtype=float).reshape(-1, 4)
    colours = [class_colour(int(label)) for label in labels]
    line, letters = _sizes((canvas.shape[1], canvas.shape[0]), boxes)
    if masks is not None and style != "boxes":
        opacity = 0.0 if style == "outlines" else _MASK_OPACITY
        _paint_masks(canvas, masks, colours, line, opacity)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    if masks is None or style != "outlines":
        _draw_boxes(pen, boxes, colours, line)
    placed = _Labels(pen, picture.size, letters)
    for box, colour, text in zip(boxes, colours, texts, strict=True):
        if text:
            placed.add(text, colour, box)
    if placed.left_out and class_names:
        present = sorted({int(label) for label in labels})
        placed.draw_key([(class_names[k], class_colour(k)) for k in present])
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


def _paint_masks(
    canvas: NDArray[np.uint8],
    masks: Sequence[NDArray[Any]] | Sequence[Cropped],
    colours: Sequence[Colour],
    line: int,
    opacity: float,
) -> None:
    """Lays all masks over a picture (H, W, 3), in place, the largest first."""
    areas = [int(np.count_nonzero(_part_of(mask)[0])) for mask in masks]
    for index in sorted(range(len(masks)), key=lambda i: -areas[i]):
        _paint_mask(canvas, *_part_of(masks[index]), colours[index], line, opacity)


def _part_of(mask: NDArray[Any] | Cropped) -> tuple[NDArray[np.bool_], int, int]:
    """The part of a mask that is given, its column and its row."""
    if isinstance(mask, np.ndarray):
        return mask.astype(bool), 0, 0
    return np.asarray(mask.mask, bool), mask.x, mask.y


def _paint_mask(
    canvas: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    x: int,
    y: int,
    colour: Colour,
    line: int,
    opacity: float,
) -> None:
    """Lays one mask, whose corner is at (x, y), over the canvas (H, W, 3), in place."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    top, bottom = y + int(rows[0]), y + int(rows[-1]) + 1
    left, right = x + int(columns[0]), x + int(columns[-1]) + 1
    # One more pixel on each side, so that the outline ends at the object and not at its box.
    height, width = canvas.shape[:2]
    before = (min(top, 1), min(left, 1))
    behind = (min(height - bottom, 1), min(width - right, 1))
    inside = np.pad(
        mask[top - y : bottom - y, left - x : right - x],
        ((before[0], behind[0]), (before[1], behind[1])),
    )
    view = canvas[
        top - before[0] : bottom + behind[0], left - before[1] : right + behind[1]
    ]
    tint = np.array(colour, dtype=np.float32)
    edge = _edge(inside, line)
    inner = inside & ~edge
    if opacity:
        view[inner] = np.round(view[inner] * (1 - opacity) + tint * opacity)
    faded = view[edge] * (1 - opacity) + tint * opacity
    view[edge] = np.round(faded * 0.1 + tint * 0.9)


def _edge(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The outermost `width` pixels of a mask; what the image border cuts is no edge."""
    inner = mask
    for _ in range(width):
        padded = np.pad(inner, 1, mode="edge")
        above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
        left, right = padded[1:-1, :-2], padded[1:-1, 2:]
        inner = inner & above & below & left & right
    return mask & ~inner


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
    _covered: float = 0.0

    def add(self, text: str, colour: Colour, box: NDArray[np.float64]) -> None:
        """Writes a label at a corner of a box, or counts it as left out."""
        width, height = self._plate(text)
        room = _LABEL_SHARE * self.size[0] * self.size[1] - self._covered
        for left, top in self._corners(box, width, height):
            area = (left, top, left + width, top + height)
            if not any(_overlap(area, other) for other in self._taken):
                break
        else:
            self.left_out += 1
            return
        if self._taken and width * height > room:  # the best object is always named
            self.left_out += 1
            return
        self._write(text, colour, area)

    def draw_key(self, entries: Sequence[tuple[str, Colour]]) -> None:
        """Writes the names of the classes below each other, on white in the lower left corner."""
        plates = [self._plate(name) for name, _ in entries]
        width = max(width for width, _ in plates)
        bottom = float(self.size[1])
        top = bottom - sum(height for _, height in plates)
        frame = 2 * self._pad
        self.pen.rectangle(
            (0, top - frame, width + frame, bottom), fill=(255, 255, 255)
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
        """Where a plate may lie, best first: above, in and below its box, but inside the picture."""
        x, y, w, h = box
        spots = [
            (x, y - height),
            (x, y),
            (x + w - width, y - height),
            (x, y + h - height),
            (x + w - width, y + h - height),
            (x, y + h),
        ]
        most_right = max(self.size[0] - width, 0)
        most_down = max(self.size[1] - height, 0)
        return [
            (min(max(left, 0.0), most_right), min(max(top, 0.0), most_down))
            for left, top in spots
        ]

    def _write(self, text: str, colour: Colour, area: Area) -> None:
        self._taken.append(area)
        self._covered += (area[2] - area[0]) * (area[3] - area[1])
        self.pen.rectangle(area, fill=colour)
        # Black or white, whichever stands out more (luminance as in ITU-R BT.601).
        bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
        ink = (0, 0, 0) if bright else (255, 255, 255)
        left, top, _, _ = self._bounds(text)
        start = (area[0] + self._pad - left, area[1] + self._pad - top)
        self.pen.text(start, text, font=font_for(text, self.letters), fill=ink)

    def _bounds(self, text: str) -> tuple[float, float, float, float]:
        return self.pen.textbbox((0, 0), text, font=font_for(text, self.letters))

    @property
    def _pad(self) -> int:
        return max(1, self.letters // 6)


def _overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] and a[2] > b[0] and a[1] < b[3] and a[3] > b[1]
