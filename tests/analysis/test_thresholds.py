"""The scores chosen are those that trying every score finds."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import CLASSES, Scene, random_scene, write

from cvtk.analysis.matching import match
from cvtk.analysis.thresholds import (
    DEFAULT_SCORE,
    best_f1,
    choose_thresholds,
    f1_at,
    one_threshold,
)
from cvtk.metrics import from_predictions, ground_truth


@pytest.mark.parametrize("seed", range(6))
def test_the_best_score_is_that_of_trying_them_all(seed, tmp_path):
    truth, found = random_scene(seed, crowd=True, round_scores=seed % 2 == 0)
    true = ground_truth(write(tmp_path, truth, images=4))
    matches = match(true, from_predictions(true, found, "segm"), "segm")
    for number in range(1, len(CLASSES) + 1):
        chosen = matches.found.category == number
        objects = int(matches.objects_per_image(number).sum())
        score, f1 = best_f1(matches, chosen, objects)
        scores = np.unique(matches.found.score[chosen])
        tried = [f1_at(matches, chosen, objects, cut) for cut in scores]
        assert f1 == pytest.approx(max(tried, default=0))
        if f1:
            assert f1_at(matches, chosen, objects, score) == pytest.approx(f1)


def test_each_class_has_its_own_score(tmp_path):
    scene = Scene()
    for _ in range(20):
        scene.found("leaf", score=0.8)
        scene.background("leaf", score=0.6)
        scene.found("stem", score=0.2)
        scene.background("stem", score=0.1)
    scene.found("root", score=0.5)
    told = choose_thresholds(match(*scene.read(tmp_path), "segm"))
    assert told.by_class["leaf"] == 0.8 and told.by_class["stem"] == 0.2
    assert told.f1["leaf"] == told.f1["stem"] == 1
    assert told.by_class["root"] == told.common, "one object decides nothing"
    assert "root (1)" in told.notes[1]


def test_a_cut_keeps_what_reaches_it(tmp_path):
    scene = Scene()
    scene.found("leaf", score=0.3)
    scene.found("leaf", score=0.29)
    matches = match(*scene.read(tmp_path), "segm")
    assert one_threshold(list(CLASSES)).is_kept(matches).tolist() == [True, False]


def test_nothing_to_choose_from(tmp_path):
    scene = Scene()
    scene.missed()
    told = choose_thresholds(match(*scene.read(tmp_path), "segm"))
    assert set(told.by_class.values()) == {DEFAULT_SCORE}
