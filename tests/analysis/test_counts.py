"""Counts and areas per image, and how well they agree, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import item, write

from cvtk.analysis.counts import agreement, per_image
from cvtk.analysis.matching import match
from cvtk.metrics import from_predictions, ground_truth


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_counts_and_areas_by_hand(kind, tmp_path):
    truth = [
        item(1, "leaf", [0, 0, 10, 10]),
        item(1, "leaf", [50, 50, 20, 10]),
        item(2, "leaf", [100, 100, 50, 50], iscrowd=1),
        item(2, "stem", [0, 0, 5, 5]),
    ]
    found = [
        item(1, "leaf", [0, 0, 10, 9], score=0.9),
        item(1, "leaf", [200, 0, 10, 10], score=0.1),
        item(2, "leaf", [110, 110, 10, 10], score=0.8),
    ]
    true = ground_truth(write(tmp_path, truth))
    matches = match(true, from_predictions(true, found, kind), kind)
    told = per_image(matches, matches.found.score >= 0.5)
    leaf = told["leaf"]
    assert leaf.true_count.tolist() == [2, 0, 0], "a crowd is no object"
    assert leaf.found_count.tolist() == [1, 0, 0], "nor is what lies in it"
    assert leaf.true_area.tolist() == [300, 0, 0]
    assert leaf.found_area.tolist() == [90, 0, 0]
    assert told["stem"].found_count.tolist() == [0, 0, 0]


def test_agreement_by_hand():
    told = agreement(np.array([1.0, 2, 3, 4]), np.array([2.0, 2, 5, 4]))
    # Differences 1, 0, 2, 0: mean 0.75, standard deviation sqrt(11 / 12).
    assert told.bias == told.mae == 0.75
    assert told.upper - told.bias == pytest.approx(1.96 * np.sqrt(11 / 12))
    assert told.bias - told.lower == pytest.approx(1.96 * np.sqrt(11 / 12))
    assert told.r2 == pytest.approx(np.corrcoef([1, 2, 3, 4], [2, 2, 5, 4])[0, 1] ** 2)


def test_what_cannot_be_said_is_not_a_number():
    same = agreement(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
    assert np.isnan(same.r2) and same.bias == 0
    one = agreement(np.array([2.0]), np.array([3.0]))
    assert one.bias == 1 and np.isnan(one.lower)
    assert np.isnan(agreement(np.zeros(0), np.zeros(0)).bias)
