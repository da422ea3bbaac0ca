"""The scores chosen are those that trying every score finds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scenes import CLASSES, Scene, random_scene, write

from cvtk.analysis.aims import best_cut, read_aim
from cvtk.analysis.matching import match
from cvtk.analysis.thresholds import (
    DEFAULT_SCORE,
    choose_thresholds,
    from_plain,
    one_threshold,
)
from cvtk.metrics import from_predictions, ground_truth

AIMS = ["f1", "count", "recall=0.6", "precision=0.7", "recall=1", "precision=1.0"]


def judged(matches, category, score):
    """F1, recall, precision and the counts' absolute errors from a score on, counted one by one."""
    of_class = [
        i
        for i in range(len(matches.found))
        if category in (None, matches.found.category[i])
        and matches.found.score[i] >= score
        and not matches.is_ignored[0, i]
    ]
    objects = [
        (matches.true_image[i], matches.true_category[i])
        for i in range(len(matches.true_image))
        if category in (None, matches.true_category[i]) and not matches.is_crowd[i]
    ]
    found = [(matches.found.image[i], matches.found.category[i]) for i in of_class]
    hits = sum(bool(matches.is_true[0, i]) for i in of_class)
    return {
        "f1": 2 * hits / (len(found) + len(objects)),
        "recall": hits / len(objects) if objects else math.nan,
        "precision": hits / len(found) if found else math.nan,
        "count": sum(
            abs(found.count(place) - objects.count(place))
            for place in {*found, *objects}
        ),
    }


def by_brute_force(matches, category, aim):
    """The best of all scores; the highest of those that are equally good."""
    is_class = [category in (None, c) for c in matches.found.category]
    scores = np.unique(matches.found.score[is_class & ~matches.is_ignored[0]])[::-1]
    told = [judged(matches, category, score)[aim.kind] for score in scores]
    if aim.kind == "count":
        return scores[np.argmin(told)]
    enough = [s for s, value in zip(scores, told, strict=True) if value >= aim.least]
    if aim.kind == "f1" or not enough:
        return scores[np.argmax(told)]
    return max(enough) if aim.kind == "recall" else min(enough)


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("seed", range(6))
def test_the_best_score_is_that_of_trying_them_all(seed, aim, tmp_path):
    truth, found = random_scene(seed, crowd=True, round_scores=seed % 2 == 0)
    true = ground_truth(write(tmp_path, truth, images=4))
    matches = match(true, from_predictions(true, found, "segm"), "segm")
    for category in (None, *range(1, len(CLASSES) + 1)):
        cut = best_cut(matches, category, read_aim(aim))
        if cut is not None:
            assert cut.score == by_brute_force(matches, category, read_aim(aim))
        else:
            of_class = matches.found.category == category
            assert not matches.is_true[0, of_class & ~matches.is_ignored[0]].any()


def scene_with_two_scores(folder):
    """Leaves are found from 0.8 on, stems from 0.2 on, and there is one root."""
    scene = Scene()
    for _ in range(20):
        scene.found("leaf", score=0.8)
        scene.background("leaf", score=0.6)
        scene.found("stem", score=0.2)
        scene.background("stem", score=0.1)
    scene.found("root", score=0.5)
    return match(*scene.read(folder), "segm")


def test_each_class_has_its_own_score(tmp_path):
    told = choose_thresholds(scene_with_two_scores(tmp_path))
    assert told.by_class["leaf"] == 0.8 and told.by_class["stem"] == 0.2
    assert told.reached["leaf"]["F1"].value == told.reached["stem"]["F1"].value == 1
    assert told.by_class["root"] == told.common, "one object decides nothing"
    assert "root (1)" in told.notes[-1]
    assert "best F1" in told.notes[0] and "truth.json" in told.notes[0]


def test_what_cannot_be_reached_is_said(tmp_path):
    scene = Scene()
    for _ in range(10):
        scene.found("leaf", score=0.6)
        scene.missed("leaf")
        scene.found("leaf", score=0.4)
    told = choose_thresholds(
        match(*scene.read(tmp_path), "segm"), read_aim("recall=0.9")
    )
    assert told.by_class["leaf"] == 0.4, (
        "which finds two thirds, and no score finds more"
    )
    assert any("No score reaches that" in note for note in told.notes)


def test_chosen_scores_are_kept_in_files(tmp_path):
    told = choose_thresholds(scene_with_two_scores(tmp_path))
    plain = json.loads(json.dumps(told.to_plain(), allow_nan=False))
    again = from_plain(plain, list(CLASSES))
    assert again.by_class == told.by_class and again.notes == told.notes
    assert again.reached["leaf"] == told.reached["leaf"]


@pytest.mark.parametrize(
    "damage",
    [
        {"by_class": {"leaf": 0.5}},
        {"by_class": {"leaf": 0.5, "stem": float("nan"), "root": 0.5}},
        {"by_class": {"leaf": 0.5, "stem": "0.5", "root": 0.5}},
        {"by_class": None},
        {"common": 2},
        {"reached": {"leaf": 3}},
        {"notes": None},
    ],
)
def test_damaged_ones_are_refused(damage, tmp_path):
    plain = choose_thresholds(scene_with_two_scores(tmp_path)).to_plain()
    with pytest.raises(ValueError, match="score"):
        from_plain({**plain, **damage}, list(CLASSES))


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
    assert told.file == "" and "no score can be chosen" in told.notes[0]


def test_a_class_of_which_nothing_is_found(tmp_path):
    scene = Scene()
    for _ in range(20):
        scene.found("leaf", score=0.8)
        scene.missed("stem")
    told = choose_thresholds(match(*scene.read(tmp_path), "segm"))
    assert told.by_class["stem"] == told.common == 0.8
    assert any("Nothing found there" in note and "stem" in note for note in told.notes)
    assert "nan" not in " ".join(told.notes)


@pytest.mark.parametrize(
    "text", ["F1", "recall", "recall=2", "recall=0.9.1", "=0.9", ""]
)
def test_aims_that_are_none(text):
    with pytest.raises(ValueError, match="no aim"):
        read_aim(text)
