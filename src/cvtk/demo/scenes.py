"""Photo-like scenes of made-up fruit: the pictures of the demo data set.

A scene is drawn at twice its size and reduced at the end, which smooths every edge. It records which fruit
each pixel shows, so that the masks are what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cvtk.demo.fruit import (
    DRAW,
    Array,
    Sprite,
    blueberry,
    blur,
    leaf,
    mix,
    noise,
    paint,
)

CLASSES = tuple(DRAW)

# Half the length of a fruit, lowest and highest, as a fraction of the image's shorter side.
RADII = {"strawberry": (0.13, 0.21), "blueberry": (0.075, 0.11), "lemon": (0.17, 0.25)}

_SCALE = 2  # supersampling
_LEAF = 0  # owner of background and leaves; fruit count from 1


@dataclass
class Item:
    """A fruit of a scene: its class name, and the pixels (H, W) bool that show it."""

    name: str
    mask: NDArray[np.bool_]
    crowd: bool = False


def background(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Wooden boards, linen, slate, soil or grass, (H, W, 3) in 0..1."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / min(h, w)
    kind = rng.choice(["wood", "wood", "linen", "slate", "soil", "grass"])
    fine, broad = noise(rng, shape, 3, 2), noise(rng, shape, min(h, w) / 2)
    if kind == "wood":
        if rng.random() < 0.5:
            x, y = y, x
        board = np.floor(y * rng.uniform(2.2, 4) + rng.uniform(0, 1)).astype(int)
        shade = rng.normal(0, 0.07, 8).astype(np.float32)[board % 8]
        warp = noise(rng, shape, min(h, w) / 3, 2)
        rings = np.sin(
            110 * y
            + 3.2 * warp
            + 4 * np.sin(3 * x + 5 * (board % 8).astype(np.float32))
        )
        tone = (
            1 + shade + 0.045 * rings + 0.022 * np.sin(240 * y + 4 * warp) + 0.03 * fine
        )
        gap = np.diff(board, axis=0, prepend=board[:1]) | np.diff(
            board, axis=1, prepend=board[:, :1]
        )
        tone = tone * (1 - 1.5 * blur((gap != 0).astype(np.float32), 1.5).clip(0, 0.4))
        woods = (
            (0.62, 0.45, 0.30),
            (0.46, 0.33, 0.23),
            (0.72, 0.62, 0.50),
            (0.55, 0.52, 0.48),
        )
        base = paint(*woods[rng.integers(4)])
    elif kind == "linen":
        pitch = rng.uniform(70, 110)
        weave = np.sin(x * pitch * 2 + 0.4 * fine) * np.sin(y * pitch * 2 + 0.4 * fine)
        tone = 1 + 0.06 * weave + 0.03 * fine + 0.05 * broad
        base = (
            paint(0.82, 0.78, 0.70),
            paint(0.60, 0.66, 0.72),
            paint(0.74, 0.66, 0.62),
        )[rng.integers(3)]
    elif kind == "slate":
        tone = 1 + 0.10 * noise(rng, shape, min(h, w) / 5, 5) + 0.05 * fine
        base = paint(0.26, 0.29, 0.32) * rng.uniform(0.8, 1.5)
    elif kind == "soil":
        clod = noise(rng, shape, 26, 4)
        tone = 1 + 0.20 * np.tanh(clod) + 0.10 * fine
        base = paint(0.37, 0.27, 0.19) * rng.uniform(0.8, 1.3)
    else:
        blade = (
            noise(rng, (h, w * 3), 14, 3)[:, :w] * 0.5 + noise(rng, shape, 30, 4) * 0.5
        )
        tone = 1 + 0.20 * np.tanh(blade) + 0.10 * fine
        base = paint(rng.uniform(0.26, 0.38), rng.uniform(0.36, 0.44), 0.19)
    return np.asarray(base * (tone * (1 + 0.06 * broad))[..., None])


class Scene:
    """A picture in the making: call `add` for each object, `finish` at the end.

    Args:
        rng: Where the randomness comes from.
        size: Width and height of the finished image in pixels.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng = rng
        self.size = size
        self.shape = (size[1] * _SCALE, size[0] * _SCALE)
        self.canvas = background(rng, self.shape)
        self.owner = np.zeros(self.shape, dtype=np.int32)
        self.names: list[str] = []
        self.areas: list[int] = []  # of each fruit when nothing hid it yet
        turn = rng.uniform(0.5, 2.6)
        light = paint(np.cos(turn), -np.sin(turn), rng.uniform(0.9, 1.4))
        self.light: Array = light / np.linalg.norm(light)

    def add(
        self,
        sprite: Sprite,
        centre: tuple[float, float],
        name: str = "",
        min_visible: float = 0.4,
    ) -> bool:
        """Lays an object over the scene, with its shadow.

        Args:
            sprite: What to draw.
            centre: x and y of its middle, in pixels of the doubled canvas.
            name: Its class; empty for a leaf.
            min_visible: The visible fraction that must remain of every fruit below, and of this one.

        Returns:
            False, with nothing drawn, where that would hide too much.
        """
        h, w = self.shape
        n = sprite.alpha.shape[0]
        left, top = round(centre[0] - n / 2), round(centre[1] - n / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + n, w), min(top + n, h)
        if x1 <= x0 or y1 <= y0:
            return False
        inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        alpha, rgb = sprite.alpha[inner], sprite.rgb[inner]
        solid = alpha > 0.5
        full = int((sprite.alpha > 0.5).sum())
        if name and solid.sum() < max(min_visible, 0.45) * full:
            return False
        counts = np.bincount(self.owner.ravel(), minlength=len(self.names) + 1)
        hidden = np.bincount(
            self.owner[y0:y1, x0:x1][solid], minlength=len(self.names) + 1
        )
        for index, area in enumerate(self.areas, 1):
            if hidden[index] and counts[index] - hidden[index] < min_visible * area:
                return False
        self._shadow(alpha, (y0, x0), n)
        view = self.canvas[y0:y1, x0:x1]
        soft = blur(alpha, 0.8)
        view[...] = mix(view, rgb, np.where(solid, soft, 0))
        if name:
            self.names.append(name)
            self.areas.append(int(solid.sum()))
        self.owner[y0:y1, x0:x1][solid] = len(self.names) if name else _LEAF
        return True

    def _shadow(self, alpha: Array, corner: tuple[int, int], n: int) -> None:
        """Darkens what lies away from the light."""
        pad = max(n // 5, 4)
        shade = blur(np.pad(alpha, pad), n / 22)
        y = corner[0] - pad - round(self.light[1] * n * 0.09)
        x = corner[1] - pad - round(self.light[0] * n * 0.09)
        h, w = self.shape
        y0, x0, y1, x1 = (
            max(y, 0),
            max(x, 0),
            min(y + shade.shape[0], h),
            min(x + shade.shape[1], w),
        )
        if y1 > y0 and x1 > x0:
            part = shade[y0 - y : y1 - y, x0 - x : x1 - x]
            self.canvas[y0:y1, x0:x1] *= (1 - 0.55 * part)[..., None]

    def finish(self) -> tuple[Image.Image, list[Item]]:
        """The photo, with uneven light, a lens and a sensor, and what is seen of each fruit."""
        rng, (h, w) = self.rng, self.shape
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        tilt = (
            rng.uniform(0.0, 0.22)
            * ((x / w - 0.5) * self.light[0] + (y / h - 0.5) * self.light[1])
            * 2
        )
        vignette = (
            rng.uniform(0.05, 0.30) * ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2) * 2
        )
        warmth = paint(1 + rng.normal(0, 0.03), 1.0, 1 - rng.normal(0, 0.04))
        picture = (
            self.canvas
            * (rng.uniform(0.92, 1.12) * (1 + tilt - vignette))[..., None]
            * warmth
        )
        eight = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))
        eight = eight.resize(self.size, Image.Resampling.BOX)
        eight = eight.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.6)))
        grain = rng.uniform(1.0, 4.0) * rng.standard_normal(
            (self.size[1], self.size[0], 3), dtype=np.float32
        )
        photo = Image.fromarray(
            (np.asarray(eight) + grain).clip(0, 255).astype(np.uint8)
        )
        # One point for each pixel, so that no pixel shows two fruit.
        owner = self.owner[::_SCALE, ::_SCALE]
        items = []
        for index, name in enumerate(self.names, 1):
            items.append(Item(name, owner == index))
        return photo, items


def make_scene(
    rng: np.random.Generator, size: tuple[int, int], *, fruit: int, crowd: bool = False
) -> tuple[Image.Image, list[Item]]:
    """Draws one picture.

    Args:
        rng: Where the randomness comes from.
        size: Width and height in pixels.
        fruit: How many fruit to place; 0 gives leaves alone.
        crowd: Whether to add a heap of small blueberries, one item for all of them.

    Returns:
        The picture (RGB), and its fruit from back to front; hidden parts are not in the masks.
    """
    scene = Scene(rng, size)
    _add_leaves(scene, int(rng.integers(1, 6)), 0.15, 0.30)
    heap = _add_heap(scene) if crowd else 0
    _add_fruit(scene, fruit)
    if fruit:
        _add_leaves(scene, int(rng.integers(0, 3)), 0.10, 0.18)
    photo, items = scene.finish()
    if heap:
        together = np.logical_or.reduce([item.mask for item in items[:heap]])
        items = [Item("blueberry", together, crowd=True), *items[heap:]]
    return photo, [item for item in items if item.mask.any()]


def _add_leaves(scene: Scene, count: int, smallest: float, largest: float) -> None:
    """Lays leaves over a scene, of sizes given as fractions of its shorter side."""
    rng, (h, w) = scene.rng, scene.shape
    for _ in range(count):
        radius = rng.uniform(smallest, largest) * min(h, w)
        sprite = leaf(rng, radius, rng.uniform(0, 6.3), scene.light)
        scene.add(sprite, (rng.uniform(0, w), rng.uniform(0, h)), min_visible=0.55)


def _add_heap(scene: Scene) -> int:
    """Lays a heap of small blueberries; returns how many."""
    rng, (h, w) = scene.rng, scene.shape
    short = min(h, w)
    middle = np.array([rng.uniform(0.2, 0.8) * w, rng.uniform(0.2, 0.8) * h])
    for _ in range(40):
        x, y = middle + rng.normal(0, 0.11 * short, 2)
        radius = rng.uniform(0.035, 0.05) * short
        sprite = blueberry(rng, radius, rng.uniform(0, 6.3), scene.light)
        scene.add(sprite, (x, y), "blueberry", min_visible=0.0)
    return len(scene.names)


def _add_fruit(scene: Scene, count: int) -> None:
    """Lays fruit of all classes, or as many as find room."""
    rng, (h, w) = scene.rng, scene.shape
    short = min(h, w)
    spots: list[tuple[float, float]] = []
    for _ in range(count * 8):
        if len(spots) >= count:
            break
        name = str(rng.choice(CLASSES))
        radius = rng.uniform(*RADII[name]) * short
        # Two in three fruit lie against an earlier one, so that they overlap.
        if spots and rng.random() < 0.66:
            near = spots[rng.integers(len(spots))]
            turn, far = rng.uniform(0, 6.3), rng.uniform(0.16, 0.36) * short
            x = near[0] + far * float(np.cos(turn))
            y = near[1] + far * float(np.sin(turn))
        else:
            x, y = rng.uniform(0.02, 0.98) * w, rng.uniform(0.02, 0.98) * h
        sprite = DRAW[name](rng, radius, rng.uniform(0, 6.3), scene.light)
        if scene.add(sprite, (x, y), name):
            spots.append((x, y))
