"""Errors that were made on purpose are counted exactly, and cost what can be computed by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scenes import Scene, item, random_scene, write

from cvtk.analysis.matching import NOTHING, match
from cvtk.analysis.outcomes import ERRORS, Outcome, costs, outcomes
from cvtk.metrics import from_predictions, ground_truth


def counted(values):
    return {Outcome(v).name: n for v, n in Counter(values.tolist()).items()}


@pytest.fixture
def known(tmp_path):
    """100 found, 30 missed, 20 duplicates, 10 of the wrong class, 8 poor masks, 5 both, 25 background."""
    scene = Scene()
    for make, times in (
        (scene.found, 80),
        (scene.missed, 30),
        (scene.duplicate, 20),
        (scene.wrong_class, 10),
        (scene.poor_mask, 8),
        (lambda: scene.poor_mask(told="root"), 5),
        (scene.background, 25),
    ):
        for _ in range(times):
            make()
    return match(*scene.read(tmp_path), "segm")


def test_known_errors_are_counted_exactly(known):
    told = outcomes(known)
    assert counted(told.detection) == {
        "CORRECT": 100,
        "DUPLICATE": 20,
        "WRONG_CLASS": 10,
        "POOR_MASK": 8,
        "WRONG_CLASS_AND_POOR_MASK": 5,
        "BACKGROUND": 25,
    }
    # Of both errors nobody knows what was meant: such an object is missed.
    assert counted(told.true) == {
        "CORRECT": 100,
        "MISSED": 30 + 5,
        "WRONG_CLASS": 10,
        "POOR_MASK": 8,
    }


def test_below_the_score_an_object_is_missed(known):
    told = outcomes(known, known.found.score >= 0.8)
    assert counted(told.true) == {"CORRECT": 100, "MISSED": 53}


def test_what_each_detection_is_about(known):
    told = outcomes(known)
    nothing = told.detection == Outcome.BACKGROUND
    assert (told.about[nothing] == NOTHING).all() and (told.iou[nothing] == 0).all()
    assert (told.about[~nothing] != NOTHING).all()
    poor = told.detection == Outcome.POOR_MASK
    assert told.iou[poor] == pytest.approx(0.25)
    assert told.iou[told.detection == Outcome.CORRECT] == pytest.approx(1)
    hits = told.true == Outcome.CORRECT
    assert (told.about[told.found_by[hits]] == np.flatnonzero(hits)).all()


def test_a_neighbour_that_is_touched_does_not_hide_a_wrong_class(tmp_path):
    truth = [item(1, "leaf", [10, 10, 20, 20]), item(1, "stem", [28, 10, 10, 20])]
    found = [item(1, "stem", [10, 10, 22, 20], score=0.9)]
    true = ground_truth(write(tmp_path, truth))
    told = outcomes(match(true, from_predictions(true, found, "segm"), "segm"))
    assert counted(told.detection) == {"WRONG_CLASS": 1}
    assert counted(told.true) == {"WRONG_CLASS": 1, "MISSED": 1}


def scene_of_one_error(make):
    """Four objects of one class found, and one error of the highest score where it has one."""
    scene = Scene()
    for _ in range(4):
        scene.found("leaf", score=0.5)
    make(scene)
    return scene


@pytest.mark.parametrize(
    ("error", "make", "gain"),
    [
        # Recall ends at 4/5: 81 of 101 recalls have precision 1.
        (Outcome.MISSED, lambda s: s.missed("leaf"), 20 / 101),
        # The false one is first: precision 4/5 everywhere.
        (Outcome.BACKGROUND, lambda s: s.background("leaf", score=0.9), 1 / 5),
        # The false one is first, and the fifth object is missed: 4/5 at 81 recalls.
        (Outcome.POOR_MASK, lambda s: s.poor_mask("leaf", score=0.9), 1 - 0.8 * 81 / 101),
        # `stem` has no object, so that nothing but the missed leaf counts.
        (Outcome.WRONG_CLASS, lambda s: s.wrong_class("leaf", "stem"), 20 / 101),
    ],
    ids=lambda value: value.name if isinstance(value, Outcome) else "",
)  # fmt: skip
def test_the_cost_of_an_error_by_hand(error, make, gain, tmp_path):
    matches = match(*scene_of_one_error(make).read(tmp_path), "segm")
    told = costs(matches)
    assert told.pop(error) == pytest.approx(gain)
    assert told == pytest.approx(dict.fromkeys(told, 0))


def test_the_cost_of_a_duplicate_by_hand(tmp_path):
    scene = Scene()
    scene.found("leaf", score=0.9)
    scene.predictions.append({**scene.predictions[0], "score": 0.8})
    scene.found("leaf", score=0.7)
    # Precision 1 at 51 recalls, and 2/3 at the 50 others.
    told = costs(match(*scene.read(tmp_path), "segm"))
    assert told[Outcome.DUPLICATE] == pytest.approx(50 / 101 / 3)


def test_a_mended_detection_of_an_object_that_is_found_is_dropped(tmp_path):
    truth = [item(1, "leaf", [10, 10, 20, 20]), item(1, "stem", [90, 90, 20, 20])]
    found = [
        item(1, "leaf", [10, 10, 20, 20], score=0.9),
        item(1, "stem", [10, 10, 20, 20], score=0.8),
        item(1, "stem", [90, 90, 20, 20], score=0.7),
    ]
    true = ground_truth(write(tmp_path, truth))
    told = costs(match(true, from_predictions(true, found, "segm"), "segm"))
    # The stem comes second: its precision is a half, which mending makes one; AP is the mean of two classes.
    assert told[Outcome.WRONG_CLASS] == pytest.approx(0.25)


@pytest.mark.parametrize("seed", [0, 1, 4, 7, 8, 10, 11, 14, 15, 19])
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_costs_are_those_of_another_program(seed, kind, tmp_path):
    """hotcoco follows tidecv, the program of TIDE's authors."""
    hotcoco = pytest.importorskip("hotcoco")
    truth, found = random_scene(seed, images=6)
    file = write(tmp_path, truth, images=6)
    judge = hotcoco.COCO(str(file))
    run = hotcoco.COCOeval(judge, judge.load_res(found), kind)
    run.evaluate()
    told = run.tide_errors()
    true = ground_truth(file)
    matches = match(true, from_predictions(true, found, kind), kind)
    ours, kinds = costs(matches), outcomes(matches)
    names = {
        Outcome.MISSED: "Miss",
        Outcome.DUPLICATE: "Dupe",
        Outcome.WRONG_CLASS: "Cls",
        Outcome.POOR_MASK: "Loc",
        Outcome.WRONG_CLASS_AND_POOR_MASK: "Both",
        Outcome.BACKGROUND: "Bkg",
    }
    # Two things differ, which none of these scenes has: which error a detection with two of them has (see
    # `outcomes`), and that tidecv mends one detection per object, of whatever kind its error is.
    poor, wrong = (
        set(kinds.about[kinds.detection == error])
        for error in (Outcome.POOR_MASK, Outcome.WRONG_CLASS)
    )
    assert not poor & wrong, "take another seed"
    for outcome, name in names.items():
        assert ours[outcome] == pytest.approx(told["delta_ap"][name], abs=1e-9), name


@pytest.mark.parametrize("seed", range(4))
def test_everything_has_an_outcome_and_mending_never_costs(seed, tmp_path):
    truth, found = random_scene(seed, crowd=True)
    true = ground_truth(write(tmp_path, truth, images=4))
    matches = match(true, from_predictions(true, found, "segm"), "segm")
    told = outcomes(matches)
    assert (told.detection == Outcome.CORRECT).sum() == matches.is_true[0].sum()
    assert (told.true == Outcome.CORRECT).sum() == matches.is_true[0].sum()
    assert (told.true == Outcome.IN_CROWD).sum() == matches.is_crowd.sum()
    assert list(costs(matches)) == list(ERRORS)
    assert min(costs(matches).values()) >= -1e-9


def test_words():
    assert (
        Outcome.WRONG_CLASS_AND_POOR_MASK.words("segm") == "wrong class and poor mask"
    )
    assert Outcome.POOR_MASK.words("bbox") == "poor box"
