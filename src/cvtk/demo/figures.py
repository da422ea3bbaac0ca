"""Photo-like scenes of made-up dancers who overlap: pictures for networks that take keypoints.

Dancers stand so close that their boxes are nearly the same. Each has a skeleton, by which they are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from cvtk.demo.fruit import Array, noise
from cvtk.demo.scenes import background

NAME = "dancer"
KEYPOINTS = (
    "head",
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_hand", "right_hand", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_foot", "right_foot"),
)
SKELETON = (
    *((1, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 6), (5, 7), (2, 8), (3, 9)),
    *((8, 9), (8, 10), (9, 11), (10, 12), (11, 13)),
)
"""Pairs of keypoints, counted from 1 as in COCO."""

LEAST_VISIBLE = 0.35  # of every dancer
_SCALE = 2  # supersampling
_ATTEMPTS = 30
# Few, so that dancers who overlap are often of one colour.
_CLOTHES = ((150, 52, 48), (58, 82, 140), (70, 118, 74), (196, 168, 92))
_SKINS = ((226, 178, 150), (168, 116, 82), (104, 70, 52))


@dataclass
class Dancer:
    """What is seen of a dancer.

    Attributes:
        mask: (H, W) bool.
        keypoints: (13, 3) x, y and visibility, as in COCO.
    """

    mask: NDArray[np.bool_]
    keypoints: Array


def pose(rng: np.random.Generator, height: float) -> Array:
    """The places (13, 2) of a dancer's keypoints, around the middle of the hips.

    Seen from the front their left is at the right of the picture, and from behind at the left.

    Args:
        rng: Where the randomness comes from.
        height: Of the dancer, in pixels.
    """
    facing = 1 if rng.random() < 0.6 else -1
    bend = np.deg2rad(rng.normal(0, 14))

    def from_(start: Array, degrees: float, length: float) -> Array:
        """A place in a direction: 0 is down, 90 to the right of the picture."""
        angle = np.deg2rad(degrees) - bend
        way = np.array([np.sin(angle), np.cos(angle)])
        return np.asarray(start + length * height * way)

    hips = np.zeros(2)
    neck = from_(hips, 180, 0.30)
    places = {"head": from_(neck, 180 + rng.normal(0, 8), 0.14)}
    for side, sign in (("left", facing), ("right", -facing)):
        shoulder = from_(neck, 90 * sign, 0.09)
        arm = sign * rng.uniform(5, 150)
        elbow = from_(shoulder, arm, 0.16)
        hip = from_(hips, 90 * sign, 0.06)
        leg = sign * rng.uniform(-8, 45)
        knee = from_(hip, leg, 0.23)
        places |= {
            f"{side}_shoulder": shoulder,
            f"{side}_elbow": elbow,
            f"{side}_hand": from_(elbow, arm + sign * rng.uniform(-20, 90), 0.15),
            f"{side}_hip": hip,
            f"{side}_knee": knee,
            f"{side}_foot": from_(knee, leg - sign * rng.uniform(0, 45), 0.23),
        }
    return np.array([places[name] for name in KEYPOINTS])


def make_dancers(
    rng: np.random.Generator, size: tuple[int, int], count: int
) -> tuple[Image.Image, list[Dancer]]:
    """Draws one picture.

    Args:
        rng: Where the randomness comes from.
        size: Width and height in pixels.
        count: How many dancers to place, in groups of two or three; fewer where they would hide each other.

    Returns:
        The picture (RGB), and its dancers from back to front.
    """
    width, height = (side * _SCALE for side in size)
    canvas = background(rng, (height, width)).clip(0, 1)
    image = Image.fromarray((canvas * 255).astype(np.uint8))
    owner = Image.new("L", (width, height))
    poses: list[Array] = []
    areas: list[int] = []
    middle: Array = np.zeros(2)
    for number in range(count):
        if number % 3 == 0:
            middle = rng.uniform([0.2, 0.4], [0.8, 0.6]) * (width, height)
        for _ in range(_ATTEMPTS):
            tall = rng.uniform(0.62, 0.85) * min(width, height)
            places = middle + rng.normal(0, 0.09, 2) * tall + pose(rng, tall)
            painted, marked = image.copy(), owner.copy()
            area = _draw(rng, painted, marked, places, tall, len(poses) + 1)
            if _all_are_seen(marked, [*areas, area]):
                image, owner = painted, marked
                poses.append(places)
                areas.append(area)
                break
    # One point for each pixel, so that no pixel shows two dancers.
    owners = np.asarray(owner)[::_SCALE, ::_SCALE]
    dancers = [_seen(owners, places, n) for n, places in enumerate(poses, 1)]
    return _photo(rng, image, size), [one for one in dancers if one.mask.any()]


def _draw(
    rng: np.random.Generator,
    image: Image.Image,
    owner: Image.Image,
    places: Array,
    height: float,
    number: int,
) -> int:
    """Draws a dancer with a thin dark outline; returns how many pixels it would cover alone."""
    point = dict(zip(KEYPOINTS, places, strict=True))
    shirt, trousers = (_CLOTHES[rng.integers(len(_CLOTHES))] for _ in range(2))
    skin = _SKINS[rng.integers(len(_SKINS))]
    alone = Image.new("L", image.size)
    pens = [
        (ImageDraw.Draw(image), None),
        (ImageDraw.Draw(owner), number),
        (ImageDraw.Draw(alone), 1),
    ]
    light = rng.uniform(0.8, 1.15)

    def part(names: str, thickness: float, colour: tuple[int, ...]) -> None:
        """A limb: a thick line with round ends, from one keypoint to the next."""
        line = [tuple(point[name]) for name in names.split()]
        for edge, tone in ((0.009, 0.45), (0.0, light)):
            radius = (thickness + edge) * height
            shade = tuple(int(min(255, tone * value)) for value in colour)
            for pen, fill in pens:
                shown = shade if fill is None else fill
                if len(line) == 4:
                    pen.polygon(line, fill=shown)
                pen.line([*line, line[0]], fill=shown, width=max(1, round(2 * radius)))
                for x, y in line:
                    box = (x - radius, y - radius, x + radius, y + radius)
                    pen.ellipse(box, fill=shown)

    for side in rng.permutation(["left", "right"]):
        part(f"{side}_knee {side}_foot", 0.030, trousers)
        part(f"{side}_hip {side}_knee", 0.040, trousers)
    part("left_shoulder right_shoulder right_hip left_hip", 0.040, shirt)
    for side in rng.permutation(["left", "right"]):
        part(f"{side}_shoulder {side}_elbow", 0.030, shirt)
        part(f"{side}_elbow {side}_hand", 0.024, skin)
    part("head head", 0.065, skin)
    return int((np.asarray(alone) > 0).sum())


def _all_are_seen(owner: Image.Image, areas: list[int]) -> bool:
    """Whether enough is left of every dancer."""
    visible = np.bincount(np.asarray(owner).ravel(), minlength=len(areas) + 1)[1:]
    return bool((visible >= LEAST_VISIBLE * np.array(areas)).all())


def _seen(owners: NDArray[Any], places: Array, number: int) -> Dancer:
    """A dancer in the finished picture: a keypoint that another hides is 1, and one outside is missing."""
    mask: NDArray[np.bool_] = np.equal(owners, number)
    points = places / _SCALE
    within = (points >= 0) & (points < mask.shape[::-1])
    inside = np.logical_and(within[:, 0], within[:, 1])
    column, row = np.where(inside[:, None], points, 0).astype(int).T
    visibility = np.where(mask[row, column], 2, 1)
    keypoints = np.column_stack([points.round(1), visibility])
    return Dancer(mask, np.where(inside[:, None], keypoints, 0))


def _photo(
    rng: np.random.Generator, image: Image.Image, size: tuple[int, int]
) -> Image.Image:
    """The picture with uneven light, a lens and a sensor."""
    small = image.resize(size, Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    width, height = size
    light = 1 + 0.06 * noise(rng, (height, width), min(size) / 2)
    grain = rng.uniform(2.0, 5.0) * rng.standard_normal((height, width, 3))
    pixels = np.asarray(small) * light[..., None] + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
