"""The values are those of the evaluation, the intervals those of drawing images by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import CLASSES, Scene, random_scene, write

from cvtk.analysis.bootstrap import draw_images, interval_of, intervals
from cvtk.analysis.matching import match
from cvtk.data import read
from cvtk.metrics import evaluate_detections, from_predictions, ground_truth


def matches_of(folder, scene, images=4, kind="segm"):
    true = ground_truth(write(folder, scene[0], images))
    found = from_predictions(true, scene[1], kind)
    return match(true, found, kind), evaluate_detections(true, found, kind)


@pytest.mark.parametrize("seed", range(4))
def test_the_values_are_those_of_the_evaluation(seed, tmp_path):
    matches, metrics = matches_of(tmp_path, random_scene(seed, crowd=True))
    told = intervals(matches, matches.found.score >= 0.5, draws=10)
    keys = {
        "AP": "AP@[0.50:0.95|all|100]",
        "AP50": "AP@[0.50|all|1000]",
        "AP75": "AP@[0.75|all|1000]",
        "AR": "AR@[0.50:0.95|all|100]",
    }
    for name, key in keys.items():
        assert told.overall[name].value == pytest.approx(metrics.stats[key], abs=1e-9)
        for label in CLASSES:
            value = np.nan_to_num(told.by_class[label][name].value, nan=-1)
            expected = metrics.class_stats[label][key]
            assert value == pytest.approx(expected, abs=1e-9)


def test_precision_recall_and_f1_by_hand(tmp_path):
    scene = Scene()
    for make, times in ((scene.found, 6), (scene.missed, 2), (scene.background, 4)):
        for _ in range(times):
            make()
    matches = match(*scene.read(tmp_path), "segm")
    told = intervals(matches, matches.found.score >= 0, draws=10).overall
    assert told["precision"].value == pytest.approx(6 / 10)
    assert told["recall"].value == pytest.approx(6 / 8)
    assert told["F1"].value == pytest.approx(12 / 18)
    above = intervals(matches, matches.found.score >= 0.5, draws=10).overall
    assert above["precision"].value == 1, "the false ones have a score of 0.4"


def test_an_interval_is_that_of_drawing_images_by_hand(tmp_path):
    """Recall is a ratio of two sums over images: drawn here image by image."""
    matches, _ = matches_of(tmp_path, random_scene(5, images=12), images=12)
    kept = matches.found.score >= 0.3
    told = intervals(matches, kept, draws=4000).overall["recall"]
    objects = np.bincount(matches.true_image, minlength=13)[1:]
    hits = matches.found.image[matches.is_true[0] & kept]
    found = np.bincount(hits, minlength=13)[1:]
    chosen = np.random.default_rng(7).integers(0, 12, (4000, 12))
    drawn = found[chosen].sum(axis=1) / objects[chosen].sum(axis=1)
    value = found.sum() / objects.sum()
    middle = 2 * value - drawn.mean()  # without the bias of the draws
    margin = 2.201 * np.sqrt(12 / 11) * drawn.std()  # t with 11 degrees of freedom
    expected = [middle - margin, middle + margin]
    assert [told.low, told.high] == pytest.approx(expected, abs=0.015)
    assert told.value == pytest.approx(value)


def test_the_same_seed_gives_the_same_intervals(tmp_path):
    matches, _ = matches_of(tmp_path, random_scene(1))
    kept = matches.found.score >= 0.3
    first = intervals(matches, kept, draws=50, seed=1).overall
    assert first == intervals(matches, kept, draws=50, seed=1).overall
    assert first != intervals(matches, kept, draws=50, seed=2).overall


def test_all_found_in_every_image_is_sure(tmp_path):
    scene = Scene()
    for _ in range(100):
        scene.found()
    told = intervals(match(*scene.read(tmp_path), "segm"), np.ones(100, dtype=bool))
    assert told.overall["AP"].low == told.overall["AP"].high == pytest.approx(1)
    assert np.isnan(told.by_class["root"]["AP"].value), "there is none of this class"
    assert "From 3 images they are rough" in told.note


def test_images_that_belong_together_are_drawn_together(tmp_path):
    matches, _ = matches_of(tmp_path, random_scene(5, images=12), images=12)
    kept = matches.found.score >= 0.3
    alone = intervals(matches, kept, draws=20)
    names = ["a", "a", "a", "b", "b", *[""] * 7]
    matches = replace(matches, truth=replace(matches.truth, image_groups=names))
    groups = matches.truth.groups
    assert groups.tolist() == [0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    weights = draw_images(groups, draws=50)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3:5] > 1).any()
    assert (weights[:, [0, 3, *range(5, 12)]].sum(axis=1) == 9).all()
    told = intervals(matches, kept, draws=20)
    assert (told.groups, alone.groups) == (9, 12)
    assert "draws of 9 groups of images" in told.note
    assert "The 12 images are not independent of each other" in told.note
    assert "draws of 12 images" in alone.note and "independent" not in alone.note
    assert told.overall["AP"].value == alone.overall["AP"].value


def test_one_group_says_nothing_of_others(tmp_path):
    matches, _ = matches_of(tmp_path, random_scene(5))
    matches = replace(matches, truth=replace(matches.truth, image_groups=["a"] * 4))
    told = intervals(matches, matches.found.score >= 0.3, draws=20)
    assert np.isnan(told.overall["AP"].low)
    assert "all are one group, from which no interval can be computed" in told.note


def test_the_group_of_an_image_is_read_from_its_file(tmp_path):
    dataset = read(write(tmp_path, [], images=3))
    dataset.images[2].group = dataset.images[0].group = "plant 7"
    assert ground_truth(dataset).groups.tolist() == [0, 1, 0]


def test_intervals_of_groups_hold_the_truth_where_those_of_images_are_too_narrow():
    """30 plants of different difficulty, five photographs of each: how often the true recall is in the interval."""
    rng = np.random.default_rng(0)
    plants, photographs, tests = 30, 5, 400
    held = {"groups": 0, "images": 0}
    for test in range(tests):
        difficulty = np.repeat(rng.beta(6, 3, plants), photographs)  # its mean is 2/3
        objects = np.full(len(difficulty), 8)
        found = rng.binomial(objects, difficulty)
        alone = np.arange(len(difficulty))
        for name, groups in (("groups", alone // photographs), ("images", alone)):
            weights = draw_images(groups, 200, seed=test)
            drawn = weights @ found / (weights @ objects)
            told = interval_of(drawn, len(np.unique(groups)))
            held[name] += told.low <= 2 / 3 <= told.high
    # 95% are expected, and 92% to 98% come in all but 1 of 100 runs.
    assert 0.92 <= held["groups"] / tests <= 0.98
    assert held["images"] / tests < 0.8
