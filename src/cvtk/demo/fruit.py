"""Fruit and leaves, drawn with NumPy: solids of revolution, lit from one side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Array = NDArray[Any]  # float32: twice as fast as float64, and fine enough for pictures


@dataclass
class Sprite:
    """One drawn object: colours (n, n, 3) in 0..1 and opacity (n, n) in 0..1."""

    rgb: Array
    alpha: Array


def noise(
    rng: np.random.Generator, shape: tuple[int, ...], cell: float, octaves: int = 3
) -> Array:
    """Smooth random texture of mean 0 and standard deviation near 1.

    Args:
        rng: Where the randomness comes from.
        shape: Height and width in pixels.
        cell: Size in pixels of the largest features; each further octave halves it.
        octaves: How many sizes are added up.
    """
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        coarse = rng.standard_normal(
            (int(shape[0] / step) + 3, int(shape[1] / step) + 3)
        ).astype(np.float32)
        fine = Image.fromarray(coarse).resize(
            (shape[1], shape[0]), Image.Resampling.BICUBIC
        )
        total += np.asarray(fine) / 2**octave
    return total / max(float(total.std()), 1e-6)


def blur(values: Array, radius: float) -> Array:
    """Gaussian blur of a map (H, W) with values in 0..1."""
    image = Image.fromarray((values * 255).clip(0, 255).astype(np.uint8))
    return (
        np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
        / 255
    )


def paint(red: float, green: float, blue: float) -> Array:
    """Three numbers as an array, not widened to float64."""
    return np.array([red, green, blue], dtype=np.float32)


def mix(below: Array, above: Array, amount: Array | float) -> Array:
    """Fades from one colour or picture to another; `amount` (H, W) in 0..1."""
    weight = np.asarray(amount)[..., None] if np.ndim(amount) else amount
    return below * (1 - weight) + above * weight


def _grid(radius: float, angle: float) -> tuple[Array, Array]:
    """Coordinates u (across) and t (along the axis, 1 at its top) of a sprite turned by `angle`."""
    n = int(2.6 * radius) + 2
    line = (np.arange(n, dtype=np.float32) - (n - 1) / 2) / radius
    x, y = np.meshgrid(line, -line)
    c, s = np.cos(angle), np.sin(angle)
    return x * c - y * s, x * s + y * c


def _light(height: Array, light: Array, gloss: float) -> tuple[Array, Array]:
    """Diffuse and specular light on a surface given by its height in pixels (Blinn and Phong's model)."""
    dy, dx = np.gradient(height)
    normal = np.stack([-dx, -dy, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    half = light + paint(0.0, 0.0, 1.0)
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


def strawberry(
    rng: np.random.Generator, radius: float, angle: float, light: Array
) -> Sprite:
    """A red cone with seeds and a green calyx."""
    u, t = _grid(radius, angle)
    t = t + 0.06  # room for the calyx
    p = ((t + 1) / 1.88).clip(0, 1)
    fat, tip = rng.uniform(0.70, 0.88), rng.uniform(0.5, 0.75)
    profile = p**tip * (1 - p) ** 0.30
    width = (
        fat
        * profile
        / float(profile.max())
        * (1 + 0.03 * noise(rng, u.shape, radius * 0.6, 1))
    )
    inside = np.abs(u) < width
    ripe = paint(
        rng.uniform(0.74, 0.90), rng.uniform(0.05, 0.13), rng.uniform(0.07, 0.14)
    )
    colour = mix(
        ripe,
        paint(0.93, 0.52, 0.38),
        (0.75 * (p - 0.72) / 0.28).clip(0, 0.75) * rng.uniform(0.2, 1),
    )
    colour = colour * (1 + 0.06 * noise(rng, u.shape, radius * 0.5))[..., None]
    # Seeds sit on a hexagonal grid wound around the fruit.
    around = np.arcsin((u / np.maximum(width, 1e-3)).clip(-1, 1)) * (
        0.35 + 0.65 * width / fat
    )
    step = rng.uniform(0.25, 0.31)
    row = np.round(t / step)
    seed_u = (around / step + 0.5 * (row % 2) + 0.5) % 1 - 0.5
    seed_t = t / step - row
    seed = seed_u**2 / 0.020 + seed_t**2 / 0.040
    colour = mix(colour, colour * 0.62, np.exp(-seed / 2.2))
    colour = mix(colour, paint(0.93, 0.76, 0.36), (seed < 0.8) * 0.85)
    rgb = _solid(rng, u, width, radius, light, colour, 22, 0.012 * radius)
    # The calyx: pointed leaves around the stalk.
    du, dt = u, (t - 0.80) * 1.35
    reach, turn = np.hypot(du, dt), np.arctan2(du, dt) + rng.uniform(0, 6)
    leaves = rng.integers(5, 8)
    sector = np.abs((turn * leaves / (2 * np.pi)) % 1 - 0.5) * 2
    calyx = reach < rng.uniform(0.50, 0.62) * (0.30 + 0.70 * sector**1.2)
    calyx |= (np.abs(u - 0.05 * np.sin(6 * t)) < 0.05) & (t > 0.8) & (t < 1.15)
    green = paint(0.30, 0.52, 0.16) * rng.uniform(0.8, 1.15)
    tone = (
        0.62
        + 0.40 * sector
        + 0.35 * (reach - 0.25)
        + 0.07 * noise(rng, u.shape, radius * 0.2)
    )
    rgb = np.where(calyx[..., None], green * tone[..., None], rgb)
    return Sprite(rgb, (inside | calyx).astype(float))


def blueberry(
    rng: np.random.Generator, radius: float, angle: float, light: Array
) -> Sprite:
    """A dark ball with a pale bloom and a crown."""
    u, t = _grid(radius, angle)
    flat = rng.uniform(0.86, 1.0)
    width = np.sqrt((1 - (t / flat).clip(-1, 1) ** 2).clip(0))
    inside = np.abs(u) < width
    skin = paint(0.16, 0.19, 0.42) * rng.uniform(0.75, 1.15) + paint(
        rng.uniform(0, 0.06), 0, 0
    )
    bloom = (0.45 + 0.28 * noise(rng, u.shape, radius * 0.8)).clip(0, 1) * rng.uniform(
        0.5, 1.0
    )
    colour = mix(skin, paint(0.47, 0.55, 0.78), bloom)
    # The crown is seen from a random side.
    cu, ct = u - rng.uniform(-0.35, 0.35), (t - rng.uniform(0.05, 0.45)) * 1.15
    reach, turn = np.hypot(cu, ct), np.arctan2(cu, ct)
    star = 0.27 + 0.10 * np.cos(5 * turn + rng.uniform(0, 6))
    colour = mix(
        colour, colour * 0.5 + 0.10, np.exp(-(((reach - star) / 0.07) ** 2)) * 0.8
    )
    colour = mix(colour, skin * 0.35, 1 / (1 + np.exp((reach - 0.8 * star) / 0.03)))
    return Sprite(
        _solid(rng, u, width, radius, light, colour, 12, 0.006 * radius),
        inside.astype(float),
    )


def lemon(
    rng: np.random.Generator, radius: float, angle: float, light: Array
) -> Sprite:
    """A yellow spindle with a nipple at its ends and pores."""
    u, t = _grid(radius, angle)
    body = rng.uniform(0.60, 0.70) * (1 - np.abs(t / 0.95).clip(0, 1) ** 2.1) ** 0.62
    side = np.abs(t - 0.03 * np.sign(t))
    nipple = rng.uniform(0.15, 0.22) * np.sqrt((1 - ((side - 0.8) / 0.24) ** 2).clip(0))
    width = np.maximum(body, nipple * (1 - 0.35 * (t < 0)))
    # Where the two meet, a running mean rounds the kink off.
    width = np.where(width > 0, (width + np.maximum(body, 0.8 * nipple)) / 2, 0)
    inside = np.abs(u) < width
    ripe = paint(
        rng.uniform(0.92, 1.0), rng.uniform(0.74, 0.86), rng.uniform(0.10, 0.26)
    )
    colour = mix(
        ripe,
        paint(0.70, 0.78, 0.22),
        (0.5 * (np.abs(t) - 0.55)).clip(0, 0.3) * rng.uniform(0, 3.0),
    )
    colour = colour * (1 + 0.035 * noise(rng, u.shape, radius * 0.5))[..., None]
    pores = noise(rng, u.shape, max(radius / 10, 2.0), 1)
    colour = colour * (1 - 0.09 * (pores > 1.1))[..., None]
    return Sprite(
        _solid(rng, u, width, radius, light, colour, 16, 0.0045 * radius),
        inside.astype(float),
    )


def leaf(rng: np.random.Generator, radius: float, angle: float, light: Array) -> Sprite:
    """A pointed green leaf with veins: no class, it only hides and distracts."""
    u, t = _grid(radius, angle)
    p = ((t + 1) / 2).clip(0, 1)
    u = u + 0.12 * np.sin(2.2 * t + rng.uniform(0, 6))
    shape = np.sin(np.pi * p**0.85)
    width = rng.uniform(0.36, 0.52) * shape * (1 + 0.05 * np.abs(((t * 9) % 1) - 0.5))
    inside = np.abs(u) < width
    green = paint(
        rng.uniform(0.16, 0.36), rng.uniform(0.38, 0.54), rng.uniform(0.10, 0.22)
    )
    vein = np.exp(-((u / 0.022) ** 2)) + 0.55 * np.exp(
        -(((((t - 0.8 * np.abs(u)) * 5.5) % 1 - 0.5) / 0.07) ** 2)
    )
    fold = (
        0.84
        + 0.22 * np.tanh(u * 9 * np.sign(light[0])) * -1
        + 0.10 * noise(rng, u.shape, radius * 0.5)
    )
    rgb = mix(
        green * fold[..., None], paint(0.62, 0.74, 0.40), (0.38 * vein).clip(0, 0.5)
    )
    return Sprite(rgb, inside.astype(float))


DRAW: dict[str, Callable[[np.random.Generator, float, float, Array], Sprite]] = {
    "strawberry": strawberry,
    "blueberry": blueberry,
    "lemon": lemon,
}
