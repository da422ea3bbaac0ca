"""AP of weighted images is what pycocotools computes on a data set with copies of them."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import CLASSES, random_scene, write

from cvtk.analysis.matching import match
from cvtk.analysis.ranking import Ranking, average_precision, recall
from cvtk.metrics import evaluate, from_predictions, ground_truth


def rankings(matches, level):
    for number in range(1, len(CLASSES) + 1):
        chosen = matches.found.category == number
        hit = matches.is_true[level, chosen]
        false = ~hit & ~matches.is_ignored[level, chosen]
        image = matches.found.image[chosen] - 1
        yield Ranking(image, hit, false, matches.objects_per_image(number))


def copies(items, counts):
    """The annotations of a data set in which each image occurs as often as its count says."""
    first = np.concatenate(([1], 1 + np.cumsum(counts)))
    return [
        {**item, "image_id": int(first[item["image_id"] - 1]) + copy}
        for item in items
        for copy in range(counts[item["image_id"] - 1])
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("counts", [[1, 1, 1, 1], [0, 2, 1, 1], [3, 0, 0, 1]])
def test_ap_and_ar_of_copied_images(seed, counts, tmp_path):
    truth, found = random_scene(seed, crowd=seed % 2 == 1)
    true = ground_truth(write(tmp_path, truth, images=4))
    matches = match(true, from_predictions(true, found, "segm"), "segm")
    weights = np.array([counts, [1, 1, 1, 1]], dtype=np.int32)
    file = write(tmp_path, copies(truth, counts), images=4)
    expected = evaluate(file, copies(found, counts), "segm").class_stats
    ap50 = [average_precision(r, weights)[0] for r in rankings(matches, 0)]
    told = [expected[name]["AP@[0.50|all|1000]"] for name in CLASSES]
    assert np.nan_to_num(ap50, nan=-1) == pytest.approx(told, abs=1e-9)
    for number, name in enumerate(CLASSES):
        levels = [list(rankings(matches, level))[number] for level in range(10)]
        ar = np.mean([recall(r, weights)[0] for r in levels])
        told = expected[name]["AR@[0.50:0.95|all|1000]"]
        assert np.nan_to_num(ar, nan=-1) == pytest.approx(told, abs=1e-9)


def test_no_objects_is_not_a_number():
    nothing = np.zeros(0, dtype=np.int64)
    ranking = Ranking(nothing, nothing > 0, nothing > 0, np.array([0, 2]))
    weights = np.array([[1, 0], [1, 1]], dtype=np.int32)
    assert average_precision(ranking, weights).tolist() == pytest.approx(
        [np.nan, 0], nan_ok=True
    )
    assert recall(ranking, weights).tolist() == pytest.approx([np.nan, 0], nan_ok=True)
