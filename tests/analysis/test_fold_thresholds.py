"""Scores of folds: each image is cut at those of its own fold, which never saw it."""

from __future__ import annotations

import pytest
from scenes import CLASSES, random_scene, write

from cvtk.analysis.aims import Aim
from cvtk.analysis.fold_thresholds import choose_across_folds, fold_thresholds
from cvtk.analysis.study import matches_of, study
from cvtk.analysis.thresholds import choose_thresholds
from cvtk.data import read

FOLDS = [[1, 4, 7, 10], [2, 5, 8, 11], [3, 6, 9, 12]]


@pytest.fixture
def crossed(tmp_path):
    """Twelve images and predictions for them."""
    truth, found = random_scene(3, images=12, objects=20)
    return read(write(tmp_path, truth, images=12)), found


def chosen(dataset, found):
    return choose_across_folds(dataset, found, FOLDS, "segm", Aim())


def test_each_image_is_cut_at_the_scores_of_its_fold(crossed):
    scores = [dict.fromkeys(CLASSES, score) for score in (0.2, 0.5, 0.8)]
    told = fold_thresholds(list(zip(FOLDS, scores, strict=True)), ["a note"])
    matches = matches_of(*crossed, "segm")
    by_hand = [
        score >= (0.8, 0.2, 0.5)[image % 3]
        for image, score in zip(matches.found.image, matches.found.score, strict=True)
    ]
    assert told.is_kept(matches).tolist() == by_hand
    assert told.by_class["leaf"] == pytest.approx(0.5)
    assert told.words() == "leaf 0.20 to 0.80, stem 0.20 to 0.80, root 0.20 to 0.80"
    analysed = study(*crossed, "segm", told, draws=5)
    assert analysed.is_kept.sum() == sum(by_hand)


def test_the_scores_are_those_that_the_other_images_alone_would_give(crossed):
    dataset, found = crossed
    for ids, by_class in chosen(dataset, found).folds:
        others = dataset.subset(i for i in dataset.images if i.id not in ids)
        rest = [item for item in found if item["image_id"] not in ids]
        expected = choose_thresholds(matches_of(others, rest, "segm"), draws=0)
        assert by_class == expected.by_class


def test_what_an_image_shows_does_not_change_the_scores_that_it_is_cut_at(crossed):
    dataset, found = crossed
    before = chosen(dataset, found)
    changed = [
        {**item, "score": item["score"] / 2} if item["image_id"] in FOLDS[0] else item
        for item in found
    ]
    dataset.annotations = [a for a in dataset.annotations if a.image_id != 1]
    after = chosen(dataset, changed)
    assert after.folds[0] == before.folds[0]
    assert after.folds[1] != before.folds[1]
    assert "None was chosen on the images that it is used on" in after.notes[0]


def test_where_the_other_folds_find_nothing_the_default_holds(crossed):
    dataset, found = crossed
    alone = [item for item in found if item["image_id"] in FOLDS[1]]
    told = chosen(dataset, alone)
    assert told.folds[1][1] == dict.fromkeys(CLASSES, 0.3)
    assert told.notes[1].startswith("For fold 2 none could be chosen")
    assert chosen(dataset, []) is None
