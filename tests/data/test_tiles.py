"""Tiles: they cover the image, overlap as asked, and are all of one size."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.data.tiles import Tile, tiles_of


def test_a_row_of_tiles():
    assert tiles_of(100, 40, 40, 0.25) == [
        Tile(0, 0, 40, 40),
        Tile(30, 0, 70, 40),
        Tile(60, 0, 100, 40),
    ]


def test_an_image_that_fits_is_one_tile():
    assert tiles_of(30, 40, 40, 0.2) == [Tile(0, 0, 30, 40)]


def test_what_two_tiles_share():
    assert Tile(0, 0, 4, 4).common(Tile(3, 1, 9, 9)) == Tile(3, 1, 4, 4)
    assert Tile(0, 0, 4, 4).common(Tile(4, 0, 8, 4)) is None


@pytest.mark.parametrize("overlap", [0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [(641, 1000), (100, 64), (65, 64), (1, 700)])
def test_tiles_cover_an_image_and_overlap_as_asked(size, overlap):
    width, height = size
    seen = np.zeros((height, width), int)
    for tile in tiles_of(width, height, 64, overlap):
        assert tile.size == (min(64, width), min(64, height))
        seen[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert seen.min() == 1 or overlap
    assert seen.min() >= 1
    lefts = sorted({t.left for t in tiles_of(width, height, 64, overlap)})
    steps = np.diff(lefts)
    assert not len(steps) or steps.max() <= max(1, 64 * (1 - overlap)) + 1
