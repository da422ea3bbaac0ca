"""The numbers are pycocotools' own, to the last digit, whatever the data hold."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvtk.data.coco import parse
from cvtk.metrics import evaluate, from_predictions, ground_truth
from cvtk.metrics.arrays import by_hotcoco, by_pycocotools

HEIGHT, WIDTH = 120, 150
LIMITS = (100, 300, 1000)

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def rectangle_mask(x, y, w, h, hole):
    """A filled rectangle, without its middle if there is to be a hole."""
    bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
    bitmap[y : y + h, x : x + w] = 1
    if hole:
        bitmap[y + h // 3 : y + 2 * h // 3, x + w // 3 : x + 2 * w // 3] = 0
    rle = api.encode(np.asfortranarray(bitmap))
    return {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}


@st.composite
def rectangles(draw):
    """x, y, width and height: small, medium and large by COCO's measure."""
    w, h = draw(st.sampled_from([(1, 1), (9, 12), (30, 35), (60, 70), (110, 100)]))
    return draw(st.integers(0, WIDTH - w)), draw(st.integers(0, HEIGHT - h)), w, h


@st.composite
def true_objects(draw, images, categories):
    x, y, w, h = draw(rectangles())
    mask = rectangle_mask(x, y, w, h, draw(st.booleans()))
    polygon = [[x, y, x + w + 0.3, y, x + w, y + h, x, y + h - 0.4]]
    measured = float(api.area(mask))
    return {
        "image_id": draw(st.sampled_from(images)),
        "category_id": draw(st.sampled_from(categories)),
        "bbox": [x, y, w, h],
        # Areas on the edges of the ranges, and those that other tools write.
        "area": draw(st.sampled_from([measured, measured, 0.0, 1024.0, 9216.0, 1e6])),
        "segmentation": draw(st.sampled_from([mask, polygon])),
        "iscrowd": int(draw(st.integers(0, 5)) == 0),
    }


@st.composite
def predictions_near(draw, true, images, categories):
    """Shifted or exact, of the right or another class, with scores of which many are equal."""
    x, y, w, h = true["bbox"]
    x = min(max(x + draw(st.integers(-3, 3)), 0), WIDTH - w)
    y = min(max(y + draw(st.integers(-3, 3)), 0), HEIGHT - h)
    category = draw(st.sampled_from([true["category_id"]] * 3 + categories))
    image = draw(st.sampled_from([true["image_id"]] * 4 + images))
    return {
        "image_id": image,
        "category_id": category,
        "score": draw(st.sampled_from([0.0, 0.3, 0.5, 0.5, 0.9, 1.0])),
        "bbox": [x + draw(st.floats(-1, 1)), y, w, h],
        "segmentation": rectangle_mask(x, y, w, h, draw(st.booleans())),
    }


@st.composite
def data_sets(draw):
    """A COCO document and predictions: some images and classes without either."""
    ids = st.integers(1, 10**6)
    images = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    categories = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    objects = draw(st.lists(true_objects(images, categories), max_size=12))
    annotation_ids = draw(
        st.lists(ids, min_size=len(objects), max_size=len(objects), unique=True)
    )
    found = []
    for true in objects:
        near = predictions_near(true, images, categories)
        found += draw(st.lists(near, max_size=3))
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in images
        ],
        "categories": [{"id": i, "name": f"class {i}"} for i in categories],
        "annotations": [
            {"id": i, **true} for i, true in zip(annotation_ids, objects, strict=True)
        ],
    }
    return document, draw(st.permutations(found))


def pycocotools(document, found, kind, category=None, limits=LIMITS):
    """pycocotools called as its own demo does; for one class it sees no other."""
    hidden = "bbox" if kind == "segm" else "segmentation"
    found = [{k: v for k, v in p.items() if k != hidden} for p in found]
    truth = COCO()
    truth.dataset = copy.deepcopy(document)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), kind)
        run.params.maxDets = list(limits)
        if category is not None:
            run.params.catIds = [category]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def as_dataset(document):
    import json

    return parse(json.dumps(document).encode(), "truth.json")


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@SETTINGS
@given(data=data_sets())
def test_all_numbers_are_those_of_pycocotools(kind, data):
    document, found = data
    assume(found)  # of none at all, pycocotools' `loadRes` makes an IndexError
    metrics = evaluate(as_dataset(document), found, kind, LIMITS)
    run = pycocotools(document, found, kind)
    assert list(metrics.stats.values()) == run.stats.tolist()
    np.testing.assert_array_equal(metrics.arrays.precision, run.eval["precision"])
    np.testing.assert_array_equal(metrics.arrays.recall, run.eval["recall"])
    np.testing.assert_array_equal(metrics.arrays.scores, run.eval["scores"])
    for category in document["categories"]:
        alone = pycocotools(document, found, kind, category["id"]).stats.tolist()
        assert list(metrics.class_stats[category["name"]].values()) == alone


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@SETTINGS
@given(data=data_sets(), limits=st.sampled_from([LIMITS, (1, 2, 3), (2,)]))
def test_it_makes_no_difference_which_library_computes(kind, data, limits):
    pytest.importorskip("hotcoco", reason="needs hotcoco")
    document, predictions = data
    truth = ground_truth(as_dataset(document))
    found = from_predictions(truth, predictions, kind)
    quick = by_hotcoco(truth, found, kind, limits)
    slow = by_pycocotools(truth, found, kind, limits)
    np.testing.assert_array_equal(quick.precision, slow.precision)
    np.testing.assert_array_equal(quick.recall, slow.recall)
    np.testing.assert_array_equal(quick.scores, slow.scores)
    by_class = by_hotcoco(truth, found, kind, limits, most=1)
    np.testing.assert_array_equal(by_class.precision, slow.precision)
    np.testing.assert_array_equal(by_class.recall, slow.recall)
    np.testing.assert_array_equal(by_class.scores, slow.scores)


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_more_predictions_than_the_last_limit(kind):
    # 60 objects, and 1,500 predictions of which the best 1,000 count.
    rng = np.random.default_rng(0)
    corners = [(x, y) for x in range(0, 150, 15) for y in range(0, 120, 20)]
    annotations, found = [], []
    for number, (x, y) in enumerate(corners, 1):
        shape = {
            "bbox": [x, y, 12, 15],
            "segmentation": rectangle_mask(x, y, 12, 15, False),
        }
        item = {"image_id": 3, "category_id": 2, **shape}
        annotations.append({"id": number, "area": 180.0, "iscrowd": 0, **item})
        found += [{**item, "score": round(float(s), 3)} for s in rng.random(25)]
    document = {
        "images": [{"id": 3, "file_name": "3.jpg", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 2, "name": "cell"}],
        "annotations": annotations,
    }
    metrics = evaluate(as_dataset(document), found, kind, LIMITS)
    run = pycocotools(document, found, kind)
    assert list(metrics.stats.values()) == run.stats.tolist()
    assert (
        metrics.stats["AR@[0.50:0.95|all|100]"]
        < metrics.stats["AR@[0.50:0.95|all|1000]"]
    )


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_without_hotcoco_the_numbers_are_the_same(kind, monkeypatch):
    import sys

    mask = rectangle_mask(10, 10, 40, 40, True)
    item = {
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 10, 40, 40],
        "segmentation": mask,
    }
    document = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [{"id": 1, "area": 1424.0, "iscrowd": 0, **item}],
    }
    found = [{**item, "score": 0.9}, {**item, "score": 0.8}]
    quick = evaluate(as_dataset(document), found, kind)
    monkeypatch.setitem(sys.modules, "hotcoco", None)  # Python's own "not there"
    assert evaluate(as_dataset(document), found, kind).stats == quick.stats
