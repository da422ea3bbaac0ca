"""Seeds: means and standard deviations as by hand, and intervals of the mean over the images."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cvtk.analysis.bootstrap import Drawn, interval_of
from cvtk.analysis.seeds import spread_over_seeds


def drawn(ap, recall=0.5, seed=0):
    """AP on 30 images, and on draws of them."""
    rng = np.random.default_rng(seed)
    values = {
        "AP": np.append(ap, rng.normal(ap, 0.02, 200)),
        "recall": np.full(201, recall),
    }
    return Drawn(values, {"leaf": values})


@pytest.fixture
def three():
    return spread_over_seeds(
        [0, 1, 2],
        [drawn(ap, seed=ap_ * 7) for ap_, ap in enumerate((0.3, 0.4, 0.5))],
        30,
    )


def test_mean_and_standard_deviation_are_those_by_hand(three):
    told = three.overall["AP"]
    assert told.mean.value == pytest.approx(0.4)
    assert told.deviation == pytest.approx(0.1)  # with n - 1
    assert told.values == [0.3, 0.4, 0.5]
    assert three.overall["recall"].deviation == 0


def test_the_interval_is_that_of_the_mean_on_the_same_draws():
    parts = [drawn(0.3), drawn(0.5)]
    told = spread_over_seeds([4, 5], parts, 30).overall["AP"].mean
    mean = (parts[0].overall["AP"] + parts[1].overall["AP"]) / 2
    assert told == interval_of(mean, 30)


def test_it_is_said_and_laid_out(three):
    assert three.sentence.startswith(
        "AP of 3 seeds is 0.400 on average, with a standard deviation of 0.100 between them. Other test images"
    )
    lines = str(three).splitlines()
    assert lines[0].split() == [
        "metric",
        "mean",
        "deviation",
        "seed",
        "0",
        "seed",
        "1",
        "seed",
        "2",
    ]
    assert lines[1].split() == ["AP", "0.400", "0.100", "0.300", "0.400", "0.500"]
    rows = list(three.rows())
    assert [row["class"] for row in rows] == ["", "", "leaf", "leaf"]
    assert rows[0]["seed 2"] == 0.5


def test_a_class_without_objects_is_not_defined():
    parts = [Drawn({"AP": np.full(201, math.nan)}, {}) for _ in range(2)]
    told = spread_over_seeds([0, 1], parts, 30)
    assert math.isnan(told.overall["AP"].deviation)
    plain = json.loads(json.dumps(told.to_plain(), allow_nan=False))
    assert plain["stats"]["AP"]["mean"]["value"] is None
