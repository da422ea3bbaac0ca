"""Photo-like scenes of made-up fruit: the pictures of the demo data set, drawn with NumPy and Pillow.

A scene is drawn at twice its size and reduced at the end, which smooths every edge. Each fruit is a solid
of revolution, lit from one side; the scene records which fruit each pixel shows, so that masks are what is
seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Array = NDArray[Any]

CLASSES = ("strawberry", "blueberry", "lemon")

# Half the length of a fruit, lowest and highest, as a fraction of the image's shorter side.
RADII = {"strawberry": (0.13, 0.21), "blueberry": (0.075, 0.11), "lemon": (0.17, 0.25)}

_SCALE = 2  # supersampling
_LEAF = 0  # owner of background and leaves; fruit count from 1


@dataclass
class Sprite:
    """One drawn object: colours (n, n, 3) in 0..1 and opacity (n, n) in 0..1."""

    rgb: Array
    alpha: Array


@dataclass
class Item:
    """A fruit of a scene: its class name, and the pixels (H, W) bool that show it."""

    name: str
    mask: NDArray[np.bool_]
    crowd: bool = False


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell: float, octaves: int = 3) -> Array:
    """Smooth random texture of mean 0 and standard deviation near 1.

    Args:
        rng: Where the randomness comes from.
        shape: Height and width in pixels.
        cell: Size in pixels of the largest features; each further octave halves it.
        octaves: How many sizes are added up.
    """
    total = np.zeros(shape)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        coarse = rng.standard_normal((int(shape[0] / step) + 3, int(shape[1] / step) + 3)).astype(np.float32)
        fine = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
        total += np.asarray(fine) / 2**octave
    return total / max(float(total.std()), 1e-6)


def blur(values: Array, radius: float) -> Array:
    """Gaussian blur of a map (H, W) with values in 0..1."""
    image = Image.fromarray((values * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64) / 255


def _mix(below: Array, above: Array, amount: Array | float) -> Array:
    """Fades from one colour or picture to another; `amount` (H, W) in 0..1."""
    weight = np.asarray(amount)[..., None] if np.ndim(amount) else amount
    return below * (1 - weight) + above * weight


def _grid(radius: float, angle: float) -> tuple[Array, Array]:
    """Coordinates u (across) and t (along the axis, 1 at its top) of a sprite turned by `angle`."""
    n = int(2.6 * radius) + 2
    line = (np.arange(n) - (n - 1) / 2) / radius
    x, y = np.meshgrid(line, -line)
    c, s = np.cos(angle), np.sin(angle)
    return x * c - y * s, x * s + y * c


def _light(height: Array, light: Array, gloss: float) -> tuple[Array, Array]:
    """Diffuse and specular light on a surface given by its height in pixels (Blinn and Phong's model)."""
    dy, dx = np.gradient(height)
    normal = np.stack([-dx, -dy, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    half = light + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    return (normal @ light).clip(0, 1), (normal @ half).clip(0, 1) ** gloss


def _solid(
    rng: np.random.Generator,
    u: Array,
    width: Array,
    radius: float,
    light: Array,
    colour: Array,
    gloss: float,
    rough: float,
) -> Array:
    """Lights a solid of revolution of half-width `width` (per pixel) and colour (n, n, 3)."""
    height = np.sqrt((width**2 - u**2).clip(0)) * radius
    height = height + rough * noise(rng, u.shape, max(radius / 9, 2), 2)
    diffuse, specular = _light(height, light, gloss)
    # Light that the ground throws back keeps the dark side from turning black.
    lit = colour * (0.30 + 0.85 * diffuse)[..., None]
    return np.asarray(lit + (0.5 * specular)[..., None])


def strawberry(rng: np.random.Generator, radius: float, angle: float, light: Array) -> Sprite:
    """A red cone with seeds and a green calyx."""
    u, t = _grid(radius, angle)
    t = t + 0.06  # room for the calyx
    p = ((t + 1) / 1.88).clip(0, 1)
    fat, tip = rng.uniform(0.70, 0.88), rng.uniform(0.5, 0.75)
    profile = p**tip * (1 - p) ** 0.30
    width = fat * profile / float(profile.max()) * (1 + 0.03 * noise(rng, u.shape, radius * 0.6, 1))
    inside = np.abs(u) < width
    ripe = np.array([rng.uniform(0.74, 0.90), rng.uniform(0.05, 0.13), rng.uniform(0.07, 0.14)])
    colour = _mix(
        ripe, np.array([0.93, 0.52, 0.38]), (0.75 * (p - 0.72) / 0.28).clip(0, 0.75) * rng.uniform(0.2, 1)
    )
    colour = colour * (1 + 0.06 * noise(rng, u.shape, radius * 0.5))[..., None]
    # Seeds sit on a hexagonal grid wound around the fruit.
    around = np.arcsin((u / np.maximum(width, 1e-3)).clip(-1, 1)) * (0.35 + 0.65 * width / fat)
    step = rng.uniform(0.25, 0.31)
    row = np.round(t / step)
    seed_u = (around / step + 0.5 * (row % 2) + 0.5) % 1 - 0.5
    seed_t = t / step - row
    seed = seed_u**2 / 0.020 + seed_t**2 / 0.040
    colour = _mix(colour, colour * 0.62, np.exp(-seed / 2.2))
    colour = _mix(colour, np.array([0.93, 0.76, 0.36]), (seed < 0.8) * 0.85)
    rgb = _solid(rng, u, width, radius, light, colour, 22, 0.012 * radius)
    # The calyx: pointed leaves around the stalk.
    du, dt = u, (t - 0.80) * 1.35
    reach, turn = np.hypot(du, dt), np.arctan2(du, dt) + rng.uniform(0, 6)
    leaves = rng.integers(5, 8)
    sector = np.abs((turn * leaves / (2 * np.pi)) % 1 - 0.5) * 2
    calyx = reach < rng.uniform(0.50, 0.62) * (0.30 + 0.70 * sector**1.2)
    calyx |= (np.abs(u - 0.05 * np.sin(6 * t)) < 0.05) & (t > 0.8) & (t < 1.15)
    green = np.array([0.30, 0.52, 0.16]) * rng.uniform(0.8, 1.15)
    tone = 0.62 + 0.40 * sector + 0.35 * (reach - 0.25) + 0.07 * noise(rng, u.shape, radius * 0.2)
    rgb = np.where(calyx[..., None], green * tone[..., None], rgb)
    return Sprite(rgb, (inside | calyx).astype(float))


def blueberry(rng: np.random.Generator, radius: float, angle: float, light: Array) -> Sprite:
    """A dark ball with a pale bloom and a crown."""
    u, t = _grid(radius, angle)
    flat = rng.uniform(0.86, 1.0)
    width = np.sqrt((1 - (t / flat).clip(-1, 1) ** 2).clip(0))
    inside = np.abs(u) < width
    skin = np.array([0.16, 0.19, 0.42]) * rng.uniform(0.75, 1.15) + np.array([rng.uniform(0, 0.06), 0, 0])
    bloom = (0.45 + 0.28 * noise(rng, u.shape, radius * 0.8)).clip(0, 1) * rng.uniform(0.5, 1.0)
    colour = _mix(skin, np.array([0.47, 0.55, 0.78]), bloom)
    # The crown is seen from a random side.
    cu, ct = u - rng.uniform(-0.35, 0.35), (t - rng.uniform(0.05, 0.45)) * 1.15
    reach, turn = np.hypot(cu, ct), np.arctan2(cu, ct)
    star = 0.27 + 0.10 * np.cos(5 * turn + rng.uniform(0, 6))
    colour = _mix(colour, colour * 0.5 + 0.10, np.exp(-(((reach - star) / 0.07) ** 2)) * 0.8)
    colour = _mix(colour, skin * 0.35, 1 / (1 + np.exp((reach - 0.8 * star) / 0.03)))
    return Sprite(_solid(rng, u, width, radius, light, colour, 12, 0.006 * radius), inside.astype(float))


def lemon(rng: np.random.Generator, radius: float, angle: float, light: Array) -> Sprite:
    """A yellow spindle with a nipple at its ends and pores."""
    u, t = _grid(radius, angle)
    body = rng.uniform(0.60, 0.70) * (1 - np.abs(t / 0.95).clip(0, 1) ** 2.1) ** 0.62
    side = np.abs(t - 0.03 * np.sign(t))
    nipple = rng.uniform(0.15, 0.22) * np.sqrt((1 - ((side - 0.8) / 0.24) ** 2).clip(0))
    width = np.maximum(body, nipple * (1 - 0.35 * (t < 0)))
    # Where the two meet, a running mean rounds the kink off.
    width = np.where(width > 0, (width + np.maximum(body, 0.8 * nipple)) / 2, 0)
    inside = np.abs(u) < width
    ripe = np.array([rng.uniform(0.92, 1.0), rng.uniform(0.74, 0.86), rng.uniform(0.10, 0.26)])
    colour = _mix(
        ripe, np.array([0.70, 0.78, 0.22]), (0.5 * (np.abs(t) - 0.55)).clip(0, 0.3) * rng.uniform(0, 3.0)
    )
    colour = colour * (1 + 0.035 * noise(rng, u.shape, radius * 0.5))[..., None]
    pores = noise(rng, u.shape, max(radius / 10, 2.0), 1)
    colour = colour * (1 - 0.09 * (pores > 1.1))[..., None]
    return Sprite(_solid(rng, u, width, radius, light, colour, 16, 0.0045 * radius), inside.astype(float))


def leaf(rng: np.random.Generator, radius: float, angle: float, light: Array) -> Sprite:
    """A pointed green leaf with veins: no class, it only hides and distracts."""
    u, t = _grid(radius, angle)
    p = ((t + 1) / 2).clip(0, 1)
    u = u + 0.12 * np.sin(2.2 * t + rng.uniform(0, 6))
    shape = np.sin(np.pi * p**0.85)
    width = rng.uniform(0.36, 0.52) * shape * (1 + 0.05 * np.abs(((t * 9) % 1) - 0.5))
    inside = np.abs(u) < width
    green = np.array([rng.uniform(0.16, 0.36), rng.uniform(0.38, 0.54), rng.uniform(0.10, 0.22)])
    vein = np.exp(-((u / 0.022) ** 2)) + 0.55 * np.exp(
        -(((((t - 0.8 * np.abs(u)) * 5.5) % 1 - 0.5) / 0.07) ** 2)
    )
    fold = 0.84 + 0.22 * np.tanh(u * 9 * np.sign(light[0])) * -1 + 0.10 * noise(rng, u.shape, radius * 0.5)
    rgb = _mix(green * fold[..., None], np.array([0.62, 0.74, 0.40]), (0.38 * vein).clip(0, 0.5))
    return Sprite(rgb, inside.astype(float))


DRAW: dict[str, Callable[[np.random.Generator, float, float, Array], Sprite]] = {
    "strawberry": strawberry,
    "blueberry": blueberry,
    "lemon": lemon,
}


def background(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Wooden boards, linen, slate, soil or grass, (H, W, 3) in 0..1."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w] / min(h, w)
    kind = rng.choice(["wood", "wood", "linen", "slate", "soil", "grass"])
    fine, broad = noise(rng, shape, 3, 2), noise(rng, shape, min(h, w) / 2)
    if kind == "wood":
        if rng.random() < 0.5:
            x, y = y, x
        boards = rng.uniform(2.2, 4)
        board = np.floor(y * boards + rng.uniform(0, 1))
        tint = rng.normal(0, 0.07, 16)[board.astype(int) % 16]
        warp = noise(rng, shape, min(h, w) / 3, 2)
        grain = np.sin((y * 55 + 1.6 * warp + 2 * np.sin(x * 3 + board * 5)) * 2) + 0.5 * np.sin(
            y * 240 + 4 * warp
        )
        tone = 1 + tint + 0.045 * grain + 0.03 * fine
        edge = np.abs(np.diff(board, axis=0, prepend=board[:1])) + np.abs(
            np.diff(board, axis=1, prepend=board[:, :1])
        )
        tone = tone * (1 - 0.6 * blur((edge > 0).astype(float), 1.5).clip(0, 0.4) * 2.5)
        base = np.array([[0.62, 0.45, 0.30], [0.46, 0.33, 0.23], [0.72, 0.62, 0.50], [0.55, 0.52, 0.48]])[
            rng.integers(4)
        ]
    elif kind == "linen":
        pitch = rng.uniform(70, 110)
        weave = np.sin(x * pitch * 2 + 0.4 * fine) * np.sin(y * pitch * 2 + 0.4 * fine)
        tone = 1 + 0.06 * weave + 0.03 * fine + 0.05 * broad
        base = np.array([[0.82, 0.78, 0.70], [0.60, 0.66, 0.72], [0.74, 0.66, 0.62]])[rng.integers(3)]
    elif kind == "slate":
        tone = 1 + 0.10 * noise(rng, shape, min(h, w) / 5, 5) + 0.05 * fine
        base = np.array([0.26, 0.29, 0.32]) * rng.uniform(0.8, 1.5)
    elif kind == "soil":
        clod = noise(rng, shape, 26, 4)
        tone = 1 + 0.20 * np.tanh(clod) + 0.10 * fine
        base = np.array([0.37, 0.27, 0.19]) * rng.uniform(0.8, 1.3)
    else:
        blade = noise(rng, (h, w * 3), 14, 3)[:, :w] * 0.5 + noise(rng, shape, 30, 4) * 0.5
        tone = 1 + 0.20 * np.tanh(blade) + 0.10 * fine
        base = np.array([rng.uniform(0.26, 0.38), rng.uniform(0.36, 0.44), 0.19])
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
        light = np.array([np.cos(turn), -np.sin(turn), rng.uniform(0.9, 1.4)])
        self.light: Array = light / np.linalg.norm(light)

    def add(self, sprite: Sprite, centre: tuple[float, float], name: str = "", least: float = 0.4) -> bool:
        """Lays an object over the scene, with its shadow.

        Args:
            sprite: What to draw.
            centre: x and y of its middle, in pixels of the doubled canvas.
            name: Its class; empty for a leaf.
            least: The visible fraction that must remain of every fruit below, and of this one.

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
        if name and solid.sum() < max(least, 0.45) * full:
            return False
        counts = np.bincount(self.owner.ravel(), minlength=len(self.names) + 1)
        hidden = np.bincount(self.owner[y0:y1, x0:x1][solid], minlength=len(self.names) + 1)
        for index, area in enumerate(self.areas, 1):
            if hidden[index] and counts[index] - hidden[index] < least * area:
                return False
        self._shadow(alpha, (y0, x0), n)
        view = self.canvas[y0:y1, x0:x1]
        soft = blur(alpha, 0.8)
        view[...] = _mix(view, rgb, np.where(solid, soft, 0))
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
        y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + shade.shape[0], h), min(x + shade.shape[1], w)
        if y1 > y0 and x1 > x0:
            part = shade[y0 - y : y1 - y, x0 - x : x1 - x]
            self.canvas[y0:y1, x0:x1] *= (1 - 0.55 * part)[..., None]

    def finish(self) -> tuple[Image.Image, list[Item]]:
        """The photo, with uneven light, a lens and a sensor, and what is seen of each fruit."""
        rng, (h, w) = self.rng, self.shape
        y, x = np.mgrid[0:h, 0:w]
        tilt = rng.uniform(0.0, 0.22) * ((x / w - 0.5) * self.light[0] + (y / h - 0.5) * self.light[1]) * 2
        vignette = rng.uniform(0.05, 0.30) * ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2) * 2
        warmth = np.array([1 + rng.normal(0, 0.03), 1.0, 1 - rng.normal(0, 0.04)])
        picture = self.canvas * (rng.uniform(0.92, 1.12) * (1 + tilt - vignette))[..., None] * warmth
        eight = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))
        eight = eight.resize(self.size, Image.Resampling.BOX)
        eight = eight.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.6)))
        grain = rng.normal(0, rng.uniform(1.0, 4.0), (self.size[1], self.size[0], 3))
        photo = Image.fromarray((np.asarray(eight) + grain).clip(0, 255).astype(np.uint8))
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
    h, w = scene.shape
    short = min(h, w)

    def leaves(count: int, low: float, high: float) -> None:
        for _ in range(count):
            sprite = leaf(rng, rng.uniform(low, high) * short, rng.uniform(0, 6.3), scene.light)
            scene.add(sprite, (rng.uniform(0, w), rng.uniform(0, h)), least=0.55)

    leaves(int(rng.integers(1, 6)), 0.15, 0.30)
    heap = 0
    if crowd:
        middle = np.array([rng.uniform(0.2, 0.8) * w, rng.uniform(0.2, 0.8) * h])
        for _ in range(40):
            x, y = middle + rng.normal(0, 0.11 * short, 2)
            sprite = blueberry(rng, rng.uniform(0.035, 0.05) * short, rng.uniform(0, 6.3), scene.light)
            scene.add(sprite, (x, y), "blueberry", least=0.0)
        heap = len(scene.names)
    spots: list[tuple[float, float]] = []
    for _ in range(fruit * 8):
        if len(scene.names) - heap >= fruit:
            break
        name = str(rng.choice(CLASSES))
        radius = rng.uniform(*RADII[name]) * short
        # Two in three fruit lie against an earlier one, so that they overlap.
        if spots and rng.random() < 0.66:
            near = spots[rng.integers(len(spots))]
            turn, far = rng.uniform(0, 6.3), rng.uniform(0.16, 0.36) * short
            spot = (near[0] + far * float(np.cos(turn)), near[1] + far * float(np.sin(turn)))
        else:
            spot = (rng.uniform(0.02, 0.98) * w, rng.uniform(0.02, 0.98) * h)
        if scene.add(DRAW[name](rng, radius, rng.uniform(0, 6.3), scene.light), spot, name):
            spots.append(spot)
    if fruit:
        leaves(int(rng.integers(0, 3)), 0.10, 0.18)
    photo, items = scene.finish()
    if heap:
        together = np.logical_or.reduce([item.mask for item in items[:heap]])
        items = [Item("blueberry", together, crowd=True), *items[heap:]]
    return photo, [item for item in items if item.mask.any()]
