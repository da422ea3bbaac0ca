"""The convex hull against scikit-image's, and its diameters against cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.morphology import convex_hull_image

from cvtk.measure.hull import hull_of
from cvtk.measure.shape import shape_of


def test_of_an_upright_rectangle_it_is_the_rectangle():
    hull = hull_of(np.ones((5, 12), bool))
    np.testing.assert_allclose(
        sorted(map(tuple, hull.polygon.round(9))),
        [(-0.5, -0.5), (-0.5, 4.5), (11.5, -0.5), (11.5, 4.5)],
    )
    assert hull.pixels == 60
    assert hull.perimeter == pytest.approx(34)
    assert hull.largest_diameter == pytest.approx(13)
    assert hull.smallest_diameter == pytest.approx(5)


def test_a_diagonal_edge_lies_halfway_between_two_diagonals():
    """|x| + |y| <= 3: the outermost diagonals and the next ones outside are 0.71 pixels apart."""
    y, x = np.mgrid[-3:4, -3:4]
    hull = hull_of(abs(x) + abs(y) <= 3)
    side = 3 * np.sqrt(2) + np.sqrt(0.5)
    assert hull.smallest_diameter == pytest.approx(side)
    assert hull.perimeter == pytest.approx(4 * side)
    assert hull.pixels == 25


def test_the_pixels_in_it_are_those_of_scikit_image():
    random = np.random.default_rng(1)
    compared = 0
    for share in (0.1, 0.3, 0.6):
        for _ in range(60):
            mask = random.random(random.integers(2, 14, 2)) < share
            if not mask.any() or hull_of(mask).is_line:
                continue
            hull = hull_of(mask)
            filled = hull.filled(*mask.shape)
            expected = convex_hull_image(mask, offset_coordinates=False)
            np.testing.assert_array_equal(filled, expected)
            assert hull.pixels == filled.sum()
            compared += 1
    assert compared > 100


def test_diameters_are_those_over_all_directions():
    random = np.random.default_rng(2)
    mask = random.random((40, 30)) < 0.05
    hull = hull_of(mask)
    angles = np.deg2rad(np.arange(0, 180, 0.01))
    along = hull.polygon @ np.stack((np.cos(angles), np.sin(angles)))
    spans = along.max(axis=0) - along.min(axis=0)
    assert hull.largest_diameter == pytest.approx(spans.max(), rel=1e-5)
    assert hull.smallest_diameter == pytest.approx(spans.min(), rel=1e-3)


@pytest.mark.parametrize(
    ("mask", "length", "width", "pixels"),
    [
        ([[1]], np.sqrt(2), 1, 1),
        ([[1, 1, 1]], np.sqrt(10), 1, 3),
        ([[1], [0], [1]], np.sqrt(10), 1, 3),
        ([[1, 0], [0, 1]], 2 * np.sqrt(2), np.sqrt(2), 2),
        ([[0, 0, 1], [0, 1, 0], [1, 0, 0]], 3 * np.sqrt(2), np.sqrt(2), 3),
    ],
)
def test_pixels_in_one_line(mask, length, width, pixels):
    hull = hull_of(np.array(mask, bool))
    assert hull.is_line
    assert hull.largest_diameter == pytest.approx(length)
    assert hull.smallest_diameter == pytest.approx(width)
    assert hull.pixels == pixels
    shape_of(np.array(mask, bool))  # no warning, no error
