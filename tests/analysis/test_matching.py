"""The matches are those of pycocotools; the confusion matrix counts everything once."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import CLASSES, Scene, item, random_scene, write

from cvtk.analysis.matching import (
    NOTHING,
    confusion_matrix,
    match,
    match_across_classes,
)
from cvtk.metrics import from_predictions, ground_truth


def read(folder, truth, found, kind="segm", images=4):
    true = ground_truth(write(folder, truth, images))
    return true, from_predictions(true, found, kind)


def matches_of_pycocotools(truth, found, kind, limit=1000):
    """(threshold, prediction) -> object, all from 1, and which predictions are ignored."""
    images = [{"id": n, "width": 1, "height": 1} for n in range(1, 5)]
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]
    document = {"images": images, "categories": categories}
    true, results = COCO(), COCO()
    true.dataset = {
        **document,
        "annotations": [{**a, "id": n} for n, a in enumerate(truth, 1)],
    }
    results.dataset = {
        **document,
        "annotations": [{**a, "id": n} for n, a in enumerate(found, 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        true.createIndex()
        results.createIndex()
        run = COCOeval(true, results, kind)
        run.params.maxDets = [limit]
        run.evaluate()
    matched, ignored = {}, set()
    for image in run.evalImgs:
        if image is None or image["aRng"] != run.params.areaRng[0]:
            continue
        for level, row in enumerate(image["dtMatches"]):
            for place, number in enumerate(image["dtIds"]):
                if row[place]:
                    matched[level, number] = int(row[place])
                if image["dtIgnore"][level][place]:
                    ignored.add((level, number))
    return matched, ignored


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("seed", range(8))
def test_the_matches_are_those_of_pycocotools(kind, seed, tmp_path):
    scene = random_scene(seed, crowd=seed % 2 == 1, round_scores=seed % 3 == 0)
    matches = match(*read(tmp_path, *scene, kind), kind)
    ours = {
        (level, int(matches.number[index])): int(matches.matched[level, index]) + 1
        for level, index in np.argwhere(matches.matched != NOTHING)
    }
    ignored = {
        (level, int(matches.number[index]))
        for level, index in np.argwhere(matches.is_ignored)
    }
    assert ours, "something matches"
    assert (ours, ignored) == matches_of_pycocotools(*scene, kind)


def test_only_the_best_of_an_image_and_class_count(tmp_path):
    truth = [item(1, "leaf", [10, 10, 20, 20])]
    found = [
        item(1, "leaf", [100, 100, 20, 20], score=0.9),
        item(1, "leaf", [10, 10, 20, 20], score=0.5),
        item(1, "stem", [10, 10, 20, 20], score=0.1),
    ]
    matches = match(*read(tmp_path, truth, found), "segm", limit=1)
    assert matches.number.tolist() == [1, 3]
    assert not matches.is_true.any()


def test_one_object_has_one_match_the_best_score_first(tmp_path):
    truth = [item(1, "leaf", [10, 10, 20, 20])]
    worse = item(1, "leaf", [10, 10, 20, 20], score=0.4)
    better = item(1, "leaf", [12, 10, 20, 20], score=0.8)
    matches = match(*read(tmp_path, truth, [worse, better]), "segm")
    assert matches.number.tolist() == [2, 1]
    assert matches.matched[0].tolist() == [0, NOTHING]
    # At IoU 0.95 the better score does not reach the object (18 / 22), and the other one has it.
    assert matches.matched[-1].tolist() == [NOTHING, 0]


def test_the_confusion_matrix_by_hand(tmp_path):
    scene = Scene()
    for _ in range(5):
        scene.found("leaf")
    for _ in range(3):
        scene.wrong_class("leaf", told="stem")
    for _ in range(2):
        scene.missed("root")
    for _ in range(4):
        scene.background("stem")
    scene.duplicate("root")
    scene.poor_mask("stem")
    matches = match(*scene.read(tmp_path), "segm")
    kept = np.ones(len(matches.found), dtype=bool)
    assert confusion_matrix(matches, kept).tolist() == [
        # leaf, stem, root, not found
        [5, 3, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 2],
        [0, 5, 1, 0],  # nothing is there: 4 + the poor mask, and the duplicate
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("score", [0.0, 0.4, 1.1])
def test_the_confusion_matrix_adds_up(seed, score, tmp_path):
    scene = random_scene(seed, crowd=seed % 2 == 1)
    matches = match(*read(tmp_path, *scene), "segm")
    kept = matches.found.score >= score
    matrix = confusion_matrix(matches, kept)
    objects = [matches.objects_per_image(n).sum() for n in (1, 2, 3)]
    assert matrix[:-1].sum(axis=1).tolist() == objects, "each object once"
    matched = match_across_classes(matches, kept)
    in_crowd = (matched != NOTHING) & matches.is_crowd[matched]
    counted = matches.found.category[kept & ~in_crowd]
    columns = np.bincount(counted, minlength=4)[1:]
    assert matrix[:, :-1].sum(axis=0).tolist() == columns.tolist(), "each one once"
    true = matches.is_true[0] & kept
    found = np.bincount(matches.found.category[true], minlength=4)[1:]
    assert np.diag(matrix)[:-1].tolist() == found.tolist(), "as AP has matched them"


def test_what_lies_in_a_crowd_counts_nowhere(tmp_path):
    truth = [item(1, "leaf", [10, 10, 100, 100], iscrowd=1)]
    found = [item(1, "leaf", [20, 20, 20, 20], score=0.9)]
    matches = match(*read(tmp_path, truth, found), "segm")
    assert not confusion_matrix(matches, np.ones(1, dtype=bool)).any()


@pytest.mark.parametrize("what", ["truth", "predictions"])
def test_nothing_there(what, tmp_path):
    scene = Scene()
    scene.found()
    setattr(scene, what, [])
    matches = match(*scene.read(tmp_path), "segm")
    kept = np.ones(len(matches.found), dtype=bool)
    assert confusion_matrix(matches, kept).sum() == 1
