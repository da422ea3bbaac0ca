"""Scenes of made-up objects of many kinds, from which a network learns what pictures have in common.

Eight shapes with three surfaces each are the 24 classes. A scene shows one to four of them, as a set of images from a
laboratory or a field does: things of a kind look alike in it, and lie beside and on each other, on a ground that may be
anything.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[Any]
"""Maps (H, W) or pictures (H, W, 3) of float32."""

SMOOTH = 2  # supersampling of outlines
VISIBLE = 0.3  # the share of an object that later ones have to leave


def circle() -> Array:
    """Angles of an outline."""
    return np.linspace(0, 2 * np.pi, 73)[:-1]


def wave(rng: np.random.Generator, strength: float, highest: int) -> Array:
    """Radii of an outline that is not quite round."""
    turns = np.arange(2, highest + 1)
    parts = rng.normal(0, 1, len(turns)) / turns
    phases = rng.uniform(0, 2 * np.pi, len(turns))
    angles = circle()[:, None]
    return 1 + strength * (parts * np.cos(turns * angles + phases)).sum(1)


def polar(radii: Array, squeeze: float = 1.0) -> Array:
    """Points (N, 2) of an outline by its radii; `squeeze` makes it narrower."""
    angles = circle()
    return np.stack([radii * np.cos(angles), squeeze * radii * np.sin(angles)], 1)


def disc(rng: np.random.Generator) -> Array:
    return polar(wave(rng, rng.uniform(0, 0.15), 5), rng.uniform(0.8, 1))


def rod(rng: np.random.Generator) -> Array:
    return polar(wave(rng, rng.uniform(0, 0.15), 4), rng.uniform(0.15, 0.5))


def lump(rng: np.random.Generator) -> Array:
    return polar(wave(rng, rng.uniform(0.4, 0.8), 7).clip(0.25), rng.uniform(0.7, 1))


def polygon(rng: np.random.Generator) -> Array:
    corners = int(rng.integers(3, 7))
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.2, 0.2, corners))
    angles /= corners
    return np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.5, 1, 2)


def star(rng: np.random.Generator) -> Array:
    points = int(rng.integers(4, 9))
    radii = np.tile([1.0, rng.uniform(0.35, 0.65)], points)
    angles = np.arange(2 * points) * np.pi / points
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)


def leaf(rng: np.random.Generator) -> Array:
    along = np.linspace(-1, 1, 30)
    profile = rng.uniform(0.25, 0.6) * (1 - along**2) ** rng.uniform(0.7, 1.3)
    profile *= 1 + rng.uniform(-0.4, 0.4) * along
    profile *= 1 + rng.uniform(0, 0.15) * np.sin(rng.uniform(10, 25) * along)
    side = np.stack([along, profile], 1)
    return np.concatenate([side, side[::-1] * [1, -1]])


def crescent(rng: np.random.Generator) -> Array:
    half, thick = rng.uniform(0.7, 1.6), rng.uniform(0.12, 0.3)
    turn = np.linspace(-half, half, 30)
    width = thick * np.cos(turn / half * np.pi / 2) ** 0.6
    outer = (1 + width)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    inner = (1 - width)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    outline = np.concatenate([outer, inner[::-1]])
    outline -= outline.mean(0)
    return outline / np.abs(outline).max()


def flower(rng: np.random.Generator) -> Array:
    petals, depth = int(rng.integers(3, 8)), rng.uniform(0.2, 0.45)
    return polar(1 - depth + depth * np.abs(np.cos(petals * circle() / 2)))


SHAPES: tuple[Callable[[np.random.Generator], Array], ...] = (
    disc,
    rod,
    lump,
    polygon,
    star,
    leaf,
    crescent,
    flower,
)
SURFACES = ("plain", "spotted", "striped")
CLASSES = [f"{surface} {shape.__name__}" for shape, surface in product(SHAPES, SURFACES)]  # fmt: skip


def noise(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> Array:
    """Clouds whose spectrum falls by a power of the frequency, as in photographs; deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal(shape))
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    spectrum /= np.maximum(np.hypot(y, x), 1 / max(shape)) ** slope
    clouds = np.fft.irfft2(spectrum, shape)
    return (clouds / max(clouds.std(), 1e-6)).astype(np.float32)


def stripes(rng: np.random.Generator, shape: tuple[int, int], period: float) -> Array:
    """Waves in one direction, slightly bent; between -1 and 1."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    turn = rng.uniform(0, np.pi)
    bent = rng.uniform(0, 0.25) * noise(rng, shape, 2)
    values = np.sin(2 * np.pi * ((x * np.cos(turn) + y * np.sin(turn)) / period + bent))
    return (values * rng.uniform(0.5, 3)).clip(-1, 1).astype(np.float32)


def ground(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A ground of clouds, stripes, tiles or nothing, with thin lines on it now and then, between 0 and 1."""
    first, second = rng.uniform(0.05, 0.95, 3), rng.uniform(0.05, 0.95, 3)
    second = first + (second - first) * rng.uniform(0, 1)
    kind = rng.choice(
        ["clouds", "stripes", "tiles", "even"], p=[0.55, 0.15, 0.15, 0.15]
    )
    if kind == "clouds":
        amount = 0.5 + 0.3 * noise(rng, shape, rng.uniform(0.5, 1.8))
    elif kind == "stripes":
        amount = 0.5 + 0.5 * stripes(rng, shape, rng.uniform(4, 60))
    elif kind == "tiles":
        cell = int(rng.integers(8, 60))
        coarse = rng.uniform(0, 1, (shape[0] // cell + 1, shape[1] // cell + 1))
        amount = np.kron(coarse, np.ones((cell, cell)))[: shape[0], : shape[1]]
    else:
        amount = np.zeros(shape)
    picture = first + (second - first) * amount[..., None].clip(0, 1)
    picture += (rng.uniform(0, 0.06) * noise(rng, shape, 0.3))[..., None]
    if rng.random() < 0.3:
        picture = with_lines(rng, picture)
    return picture.astype(np.float32)


def with_lines(rng: np.random.Generator, picture: Array) -> Array:
    """Hairs, wires and stems, which are no objects."""
    image = Image.fromarray((255 * picture.clip(0, 1)).astype(np.uint8))
    brush = ImageDraw.Draw(image)
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    for _ in range(int(rng.integers(1, 12))):
        ends = rng.uniform(-20, max(image.size) + 20, 4)
        brush.line([float(v) for v in ends], colour, width=int(rng.integers(1, 5)))
    return np.asarray(image, np.float32) / 255


class Look:
    """What the objects of a class have in common in one scene."""

    def __init__(self, rng: np.random.Generator, name: str) -> None:
        self.surface, shape = name.split(" ")
        self.shape = {function.__name__: function for function in SHAPES}[shape]
        self.colour = rng.uniform(0.05, 0.95, 3)
        self.other = rng.uniform(0.05, 0.95, 3)
        self.spread = rng.uniform(0, 0.1)
        self.rough = rng.uniform(0, 0.12)
        self.bulge = rng.uniform(-0.2, 0.8)
        self.rim = rng.choice([0.0, 0.0, rng.uniform(-0.4, 0.4)])
        self.opaque = rng.choice([1.0, 1.0, 1.0, rng.uniform(0.5, 0.9)])
        self.shadow = rng.choice([0.0, rng.uniform(0.1, 0.6)])
        self.period = rng.uniform(0.1, 0.5)

    def draw(
        self, rng: np.random.Generator, radius: float, light: Array
    ) -> tuple[Array, NDArray[np.bool_], Array]:
        """A picture (n, n, 3), the mask (n, n), and the opacity (n, n) of an object."""
        n = 2 * int(np.ceil(1.15 * radius)) + 3
        turn = rng.uniform(0, 2 * np.pi)
        rotation = np.array(
            [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        )
        outline = SMOOTH * (n / 2 + radius * self.shape(rng) @ rotation.T)
        large = Image.new("L", (SMOOTH * n, SMOOTH * n))
        ImageDraw.Draw(large).polygon(outline.ravel().tolist(), fill=255)
        small = large.resize((n, n), Image.Resampling.BOX)
        alpha = np.asarray(small, np.float32) / 255
        colour = (self.colour + rng.normal(0, self.spread, 3)).astype(np.float32)
        picture = np.broadcast_to(colour, (n, n, 3)).copy()
        share = self.pattern(rng, (n, n), radius)
        picture += share[..., None] * (self.other - colour)
        picture *= 1 + self.rough * noise(rng, (n, n), 1)[..., None]
        picture *= self.shade(small, radius, light)[..., None]
        return picture.astype(np.float32), alpha > 0.5, alpha * self.opaque

    def pattern(
        self, rng: np.random.Generator, shape: tuple[int, int], radius: float
    ) -> Array:
        """How much of the other colour there is, by pixel, between 0 and 1."""
        if self.surface == "striped":
            return 0.5 + 0.5 * stripes(rng, shape, max(3.0, self.period * radius))
        if self.surface == "spotted":
            size = max(1.0, 0.4 * self.period * radius)
            coarse = rng.uniform(0, 1, (int(shape[0] / size) + 2,) * 2)
            dots = Image.fromarray((255 * (coarse > 0.7)).astype(np.uint8))
            spots = dots.resize(shape[::-1], Image.Resampling.BICUBIC)
            return np.asarray(spots, np.float32) / 255
        return np.zeros(shape, np.float32)

    def shade(self, mask: Image.Image, radius: float, light: Array) -> Array:
        """Light and dark of a body that bulges, and of its rim."""
        height = np.asarray(
            mask.filter(ImageFilter.GaussianBlur(max(0.35 * radius, 1))), np.float32
        )
        height /= max(height.max(), 1)
        slope = np.gradient(height, 1 / radius)
        lit = 1 + self.bulge * (0.6 * (height - 0.7) - 0.35 * (slope[0] * light[1] + slope[1] * light[0]))  # fmt: skip
        inner = mask.filter(ImageFilter.MinFilter(3))
        edge = np.asarray(mask, np.float32) - np.asarray(inner, np.float32)
        return lit.clip(0.2, 2) * (1 + self.rim * edge / 255)


def scene(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[Image.Image, list[tuple[int, NDArray[np.bool_]]]]:
    """A picture of width and height `size`, and its objects: the number of the class and the mask (H, W) that is seen."""
    shape = (size[1], size[0])
    picture = ground(rng, shape)
    owner = np.zeros(shape, np.int32)
    chosen = rng.choice(len(CLASSES), int(rng.integers(1, 5)), replace=False)
    looks = {int(number): Look(rng, CLASSES[number]) for number in chosen}
    scales = {number: np.exp(rng.uniform(np.log(10), np.log(75))) for number in looks}
    turn = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(turn), np.sin(turn)])
    kinds: list[int] = []
    areas: list[int] = []
    room = rng.uniform(0.1, 0.9) * shape[0] * shape[1]
    most = int(rng.integers(2, 13))
    while sum(areas) < room and len(kinds) < most:
        number = int(rng.choice(list(looks)))
        radius = float((scales[number] * rng.uniform(0.7, 1.35)).clip(6, 110))
        sprite = looks[number].draw(rng, radius, light)
        area = lay(rng, picture, owner, areas, sprite, looks[number].shadow * light)
        room -= 100  # so that it ends where nothing fits
        if area:
            kinds.append(number)
            areas.append(area)
    picture = photographed(rng, picture)
    found = [(kind, owner == place) for place, kind in enumerate(kinds, 1)]
    image = Image.fromarray((255 * picture.clip(0, 1)).astype(np.uint8))
    return image, [(kind, mask) for kind, mask in found if mask.sum() >= 24]


def lay(
    rng: np.random.Generator,
    picture: Array,
    owner: NDArray[np.int32],
    areas: list[int],
    sprite: tuple[Array, NDArray[np.bool_], Array],
    shadow: Array,
) -> int:
    """Lays an object somewhere, unless that hid too much of another; its area in pixels, 0 where it does not fit."""
    colours, mask, alpha = sprite
    n, (height, width) = len(mask), owner.shape
    left, top = (int(v) for v in rng.uniform(-n / 3, [width - 2 * n / 3, height - 2 * n / 3]))  # fmt: skip
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + n, width), min(top + n, height)  # fmt: skip
    if x1 <= x0 or y1 <= y0:
        return 0
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    place = (slice(y0, y1), slice(x0, x1))
    covered = np.bincount(owner[place][mask[part]], minlength=len(areas) + 1)
    seen = np.bincount(owner.ravel(), minlength=len(areas) + 1)
    for index, area in enumerate(areas, 1):
        if covered[index] and seen[index] - covered[index] < VISIBLE * area:
            return 0
    area = int(mask[part].sum())
    if area < 30 or area < 0.4 * mask.sum():
        return 0
    if shadow.any():
        cast(picture, mask, (left, top), shadow)
    opaque = alpha[part][..., None]
    picture[place] += opaque * (colours[part] - picture[place])
    owner[place][mask[part]] = len(areas) + 1
    return area


def cast(
    picture: Array, mask: NDArray[np.bool_], corner: tuple[int, int], shadow: Array
) -> None:
    """Darkens what lies away from the light."""
    n = len(mask)
    full = np.zeros(picture.shape[:2], np.float32)
    left = corner[0] + round(0.15 * n * shadow[0])
    top = corner[1] + round(0.15 * n * shadow[1])
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + n, full.shape[1]), min(top + n, full.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    full[y0:y1, x0:x1] = 255 * mask[y0 - top : y1 - top, x0 - left : x1 - left]
    soft = Image.fromarray(full.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.05 * n))  # fmt: skip
    dark = float(np.hypot(*shadow)) * np.asarray(soft, np.float32) / 255
    picture *= 1 - dark[..., None]


def photographed(rng: np.random.Generator, picture: Array) -> Array:
    """Uneven light, a lens that is not quite sharp, grey now and then, and the noise of a sensor."""
    shape = picture.shape[:2]
    picture = picture * (1 + rng.uniform(0, 0.15) * noise(rng, shape, 3))[..., None]
    if rng.random() < 0.15:
        picture = picture.mean(2, keepdims=True).repeat(3, 2)
    image = Image.fromarray((255 * picture.clip(0, 1)).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    sensor = rng.uniform(0, 0.03) * rng.standard_normal((*shape, 1))
    return np.asarray(image, np.float32) / 255 + sensor.astype(np.float32)
