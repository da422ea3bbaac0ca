"""The learning curve: on errors that fall as a power of the images, it says what that power says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cvtk.analysis.figures import learning_curve as draw
from cvtk.analysis.learning_curve import learning_curve

IMAGES = [15, 30, 60]


def drawn(values, noise=0.0, draws=400, seeds=1, seed=0):
    """For each part and seed AP on the images, and on draws of them that differ by some noise."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(
        0, noise, draws
    )  # what makes the images of a draw hard is hard for all
    return [
        [np.append(value, value + shared) for _ in range(seeds)] for value in values
    ]


def power(images, exponent=-0.3, error=1.2):
    return 1 - error * np.asarray(images, dtype=float) ** exponent


def test_a_power_law_is_found_and_continued():
    told = learning_curve(IMAGES, drawn(power(IMAGES)), tested=60)
    for images in (15, 60, 120):
        assert told.at(images) == pytest.approx(power(images))
    assert told.gain.value == pytest.approx(power(120) - power(60))
    assert [point.ap.value for point in told.points] == pytest.approx(power(IMAGES))


def test_the_line_is_that_of_least_squares():
    values = [0.2, 0.5, 0.4]
    told = learning_curve(IMAGES, drawn(values), tested=60)
    slope, intercept = np.polyfit(np.log(IMAGES), np.log(1 - np.array(values)), 1)
    assert told.error == pytest.approx((intercept, slope))


def test_a_sure_gain_is_said_with_its_interval():
    told = learning_curve(IMAGES, drawn(power(IMAGES), noise=0.02), tested=60)
    assert told.gain.low < power(120) - power(60) < told.gain.high
    assert told.sentence.startswith(
        "Twice as many images to learn from (120) would bring about +0.066 AP (95% interval +0."
    )
    assert "which counts the choice of test images alone)" in told.sentence
    assert "--seeds 3 adds that" in told.caveat and "60 images" in told.caveat


def test_what_chance_may_have_made_is_not_claimed():
    rng = np.random.default_rng(0)
    values = [[np.append(0.4, rng.normal(0.4, 0.1, 400))] for _ in IMAGES]
    told = learning_curve(IMAGES, values, tested=20)
    assert told.gain.low < 0 < told.gain.high
    assert "cannot be told from these trainings" in told.sentence


def test_seeds_that_differ_widen_the_interval():
    same = learning_curve(IMAGES, drawn(power(IMAGES), 0.01, seeds=2), tested=60)
    values = drawn(power(IMAGES), 0.01, seeds=2)
    for part in values:
        part[0] = part[0] - 0.05
        part[1] = part[1] + 0.05
    differ = learning_curve(IMAGES, values, tested=60)
    width = [told.gain.high - told.gain.low for told in (same, differ)]
    assert width[1] > 2 * width[0]
    assert differ.points[0].by_seed == pytest.approx(
        [power(15) - 0.05, power(15) + 0.05]
    )
    assert "the 2 seeds" in differ.caveat
    assert "test images alone" not in differ.sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0.0, 0.0, 0.002], "has hardly learned anything yet"),
        ([math.nan] * 3, "there is no object to be found"),
        ([0.6, 0.5, 0.4], "would not help: AP fell with more images"),
    ],
)
def test_where_there_is_nothing_to_continue(values, sentence):
    assert sentence in learning_curve(IMAGES, drawn(values, 0.001), tested=60).sentence


def test_the_table_has_what_was_measured_and_what_is_expected():
    rows = list(learning_curve(IMAGES, drawn(power(IMAGES)), tested=60).rows())
    assert [(row["images"], row["measured"]) for row in rows] == [
        (15, "yes"), (30, "yes"), (60, "yes"), (120, "no"),
    ]  # fmt: skip
    assert rows[-1]["curve"] == pytest.approx(power(120))


def test_the_figure_goes_on_to_twice_as_many_and_shows_how_sure_that_is():
    told = learning_curve(IMAGES, drawn(power(IMAGES), noise=0.02), tested=60)
    [axes] = draw(told).axes
    [line] = [line for line in axes.lines if line.get_linestyle() == "--"]
    dashed = np.array(line.get_data())
    assert (
        pytest.approx(np.array([[60, power(60)], [120, power(120)]]))
        == dashed[:, [0, -1]].T
    )
    bars = [line for line in axes.lines if line.get_marker() == "_"]
    [bar] = [line for line in bars if set(line.get_xdata()) == {120}]
    low, high = bar.get_ydata()
    assert (low, high) == pytest.approx(
        (power(60) + told.gain.low, power(60) + told.gain.high)
    )
    assert axes.get_ylim()[1] > high
    assert [text.get_text() for text in axes.texts] == ["+0.066"]


def test_without_an_interval_there_is_no_bar():
    told = learning_curve(IMAGES, drawn(power(IMAGES), draws=1), tested=60)
    [axes] = draw(told).axes
    assert math.isnan(told.gain.low)
    assert all(line.get_xdata().max() <= 120 for line in axes.lines)
    assert not [line for line in axes.lines if set(line.get_xdata()) == {120}]
