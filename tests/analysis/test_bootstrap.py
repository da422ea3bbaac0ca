"""The values are those of the evaluation, the intervals those of drawing images by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import CLASSES, Scene, random_scene, write

from cvtk.analysis.bootstrap import intervals
from cvtk.analysis.matching import match
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
