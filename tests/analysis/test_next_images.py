"""Which images are chosen, for made-up uncertainties and looks."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.analysis.next_images import NOBODY, Pick, pick
from cvtk.data.looks import alike, difference, look_of


def grey(value, seed=0):
    """An image of one grey level as a whole, with a pattern that only near-duplicates share."""
    pattern = np.random.default_rng(seed).integers(-20, 21, (16, 16, 1))
    pixels = np.kron(value + pattern - pattern.mean().round(), np.ones((8, 8, 3)))
    return look_of(pixels.clip(0, 255).astype(np.uint8))


def indices(picks):
    return [chosen.index for chosen in picks]


def test_looks_differ_by_the_root_mean_square_of_their_colours():
    black, white = (look_of(np.full((20, 30, 3), v, np.uint8)) for v in (0, 255))
    half = look_of(
        np.kron([[[0] * 3, [255] * 3]], np.ones((16, 8, 1))).astype(np.uint8)
    )
    others = np.stack([black.colours, white.colours, half.colours])
    assert difference(black.colours, others) == pytest.approx([0, 1, np.sqrt(0.5)])


def test_without_differences_the_most_uncertain_come_first():
    looks = [grey(100, seed) for seed in range(4)]
    picks = pick([1, 3, 2, 0], looks, [], 2)
    assert indices(picks)[0] == 1
    assert picks[0] == Pick(1, 1.0, NOBODY)
    assert picks[1].nearest == 1


def test_uncertainty_times_difference():
    """By hand: of 40, 60 and 200, all differ by (their distance) / 255, but for the patterns."""
    looks = [grey(40, 0), grey(60, 1), grey(200, 2)]
    # First the most uncertain; then 2 x 160 / 255 is more than 4 x 20 / 255.
    assert indices(pick([5, 4, 2], looks, [], 3)) == [0, 2, 1]
    # One that is 20 times as uncertain wins although it is near.
    assert indices(pick([50, 40, 2], looks, [], 3)) == [0, 1, 2]


def test_images_that_look_like_labelled_ones_count_less():
    looks = [grey(60, 1), grey(200, 2)]
    picks = pick([4, 2], looks, [grey(50, 3)], 2)
    assert indices(picks) == [1, 0]
    assert picks[0].nearest == 2  # the labelled image comes after those of the pool


def test_near_duplicates_are_never_chosen_twice():
    looks = [grey(100, 0), grey(102, 0), grey(30, 1), grey(31, 1)]
    assert alike(looks) == {0: {1}, 1: {0}, 2: {3}, 3: {2}}
    assert indices(pick([3, 5, 1, 2], looks, [], 4)) == [1, 3]
    assert indices(pick([3, 5, 1, 2], looks, [grey(101, 0)], 4)) == [3]


def test_where_nothing_is_found_looks_decide():
    looks = [grey(100, 0), grey(110, 1), grey(250, 2)]
    assert indices(pick([0, 0, 0], looks, [grey(100, 3)], 2)) == [2, 1]


@pytest.mark.parametrize(("size", "count"), [(0, 3), (2, 5), (3, 0)])
def test_no_more_than_there_are(size, count):
    looks = [grey(80 * i, i) for i in range(size)]
    assert len(pick([1] * size, looks, [], count)) == min(size, count)
