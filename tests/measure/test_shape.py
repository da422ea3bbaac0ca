"""Drawn ellipses and rectangles at all angles, against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ellipe
from shapes import cut, draw
from skimage.measure import regionprops

from cvtk.measure.shape import shape_of

ANGLES = range(0, 180, 5)


def truth(kind, length, width):
    """What the shape has: area, perimeter, and the largest and smallest Feret diameter."""
    if kind == "ellipse":
        around = 2 * length * ellipe(1 - (width / length) ** 2)
        return np.pi / 4 * length * width, around, length, width
    return length * width, 2 * (length + width), np.hypot(length, width), width


def errors(kind, length, width):
    """The errors at all angles, each at another place between the pixels, as shares of the truth (angles, 4)."""
    random = np.random.default_rng(0)
    found = []
    for angle in ANGLES:
        mask = draw(kind, length, width, angle, random.uniform(-0.5, 0.5, 2))
        shape = shape_of(mask)
        found.append((shape.area, shape.perimeter, shape.length, shape.width))
    return np.array(found) / truth(kind, length, width) - 1


def typical(values):
    return np.sqrt((values**2).mean(axis=0))


@pytest.mark.parametrize("kind", ["ellipse", "rectangle"])
@pytest.mark.parametrize("size", [(60, 40), (80, 40), (120, 60)])
def test_within_one_percent_at_all_angles(kind, size):
    found = errors(kind, *size)
    assert (typical(found) < 0.01).all(), typical(found)
    assert (abs(found) < 0.02).all(), abs(found).max(axis=0)


@pytest.mark.parametrize("kind", ["ellipse", "rectangle"])
@pytest.mark.parametrize("size", [(100, 100), (150, 100), (300, 100)])
def test_from_100_pixels_on_each_is_within_one_percent(kind, size):
    found = abs(errors(kind, *size))
    assert (found < 0.01).all(), found.max(axis=0)


def test_no_measurement_can_be_within_one_percent_of_each_of_40_pixels():
    """Two squares with the same mask: whatever is said of it is wrong by more than 2 percent for one of them."""
    small, large = (
        draw("rectangle", side, side, 0, (0.5, 0.5)) for side in (39.1, 40.9)
    )
    np.testing.assert_array_equal(small, large)
    assert small.shape == (40, 40)
    assert 40.9 / 39.1 > 1.02**2


@pytest.mark.parametrize(
    ("kind", "size"),
    [("ellipse", (40, 40)), ("rectangle", (40, 40)), ("rectangle", (40, 20))],
)
def test_the_hardest_of_40_pixels(kind, size):
    """A circle has some direction in which it is a little too long; a rectangle lacks the tips of its corners."""
    assert (typical(errors(kind, *size)) < 0.015).all()


@pytest.mark.parametrize("size", [(20, 10), (40, 20), (40, 40), (90, 30)])
def test_the_ellipse_of_an_ellipse(size):
    found = []
    for angle in ANGLES:
        shape = shape_of(draw("ellipse", *size, angle))
        found.append((shape.ellipse_length, shape.ellipse_width))
    limit = 0.01 if size[1] >= 20 else 0.025
    assert (typical(np.array(found) / size - 1) < limit).all()


@pytest.mark.parametrize("angle", [0, 10, 45, 80, 100, 135, 170])
def test_orientation_is_anticlockwise_from_the_right(angle):
    found = shape_of(draw("rectangle", 80, 20, angle)).orientation
    assert 0 <= found < 180
    assert abs((found - angle + 90) % 180 - 90) < 0.5


def test_the_centroid_is_where_boxes_have_it():
    shape = shape_of(np.ones((4, 10), bool))
    assert (shape.x, shape.y) == (5, 2)


def test_the_perimeter_counts_holes():
    """A ring of radii 45 and 20."""
    y, x = np.mgrid[:96, :96] + 0.5
    radius = np.hypot(x - 48.2, y - 47.9)
    ring = cut((radius < 45) & (radius > 20))
    assert shape_of(ring).perimeter == pytest.approx(2 * np.pi * 65, rel=0.01)
    assert shape_of(ring).solidity == pytest.approx(1 - (20 / 45) ** 2, rel=0.01)


@pytest.mark.parametrize("size", [40, 160])
def test_the_perimeter_of_an_l(size):
    """Not convex: two sides of `size`, two of 0.4 and two of 0.6 of it, turned by 30 degrees."""
    y, x = np.mgrid[: 2 * size, : 2 * size] + 0.5 - size
    turn = np.deg2rad(30)
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    half = size / 2
    inside = (abs(u) < half) & (abs(v) < half)
    notch = (u > -0.1 * size) & (v > -0.1 * size)
    found = shape_of(cut(inside & ~notch)).perimeter
    assert found == pytest.approx(4 * size, rel=0.03 if size == 40 else 0.01)


def test_of_rough_objects_scikit_image_says_the_same():
    random = np.random.default_rng(3)
    mask = draw("ellipse", 60, 40, 20)
    mask = cut(mask & (random.random(mask.shape) < 0.9))
    region = regionprops(mask.astype(np.uint8))[0]
    shape = shape_of(mask)
    assert shape.area == region.area
    assert (shape.y, shape.x) == pytest.approx(np.add(region.centroid, 0.5))
    assert shape.ellipse_length == pytest.approx(region.axis_major_length, rel=0.001)
    assert shape.solidity == pytest.approx(region.solidity, rel=0.03)
