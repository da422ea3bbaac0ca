"""The figures are those of pycocotools, overall and for each class."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvtk.metrics import coco_stats, fast_evaluator

SIZE = (240, 320)  # height, width
IDS = {"leaf": 7, "stem": 2, "root": 40}


def box_mask(x, y, w, h):
    """A filled ellipse in a box, so that mask and box differ."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = ((columns - x - w / 2) / (w / 2)) ** 2 + (
        (rows - y - h / 2) / (h / 2)
    ) ** 2
    packed = rle.encode(np.asfortranarray((inside <= 1).astype(np.uint8)))
    return {"size": list(SIZE), "counts": packed["counts"].decode()}


def item(image, name, box, **more):
    mask = box_mask(*box)
    return {
        "image_id": image,
        "category_id": IDS[name],
        "bbox": list(box),
        "segmentation": mask,
        "area": float(rle.area(mask)),
        "iscrowd": 0,
        **more,
    }


def write(folder, annotations, images=3, names=IDS):
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": SIZE[1], "height": SIZE[0]}
            for n in range(1, images + 1)
        ],
        "categories": [{"id": IDS[name], "name": name} for name in names],
        "annotations": [{**a, "id": n} for n, a in enumerate(annotations, 1)],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    return folder / "truth.json"


def random_case(folder, seed, crowd=False):
    """Objects, and predictions that are shifted, missed, doubled, or of another class."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in (1, 2, 3):
        for _ in range(12):
            name = str(rng.choice(["leaf", "stem", "root"], p=[0.5, 0.4, 0.1]))
            side = rng.choice([12, 25, 60, 120])
            x, y = rng.uniform(0, 320 - side), rng.uniform(0, 240 - side)
            box = [x, y, side * rng.uniform(0.6, 1), side * rng.uniform(0.6, 1)]
            truth.append(
                item(image, name, box, iscrowd=int(crowd and rng.random() < 0.1))
            )
            for _ in range(rng.integers(0, 3)):
                near = [v + rng.normal(0, side / 15) for v in box[:2]] + box[2:]
                told = name if rng.random() < 0.8 else str(rng.choice(list(IDS)))
                found.append(item(image, told, near, score=float(rng.random())))
    return write(folder, truth), found


def oracle(file, found, kind, category=None):
    """pycocotools called directly; for one class it sees no other."""
    truth = COCO(str(file))
    if kind == "segm":
        found = [{k: a[k] for k in a if k != "bbox"} for a in found]
    judge = COCOeval(truth, truth.loadRes(found), kind)
    judge.params.maxDets = [100, 300, 1000]
    if category is not None:
        judge.params.catIds = [category]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize(("seed", "crowd"), [(0, False), (1, True), (2, True)])
def test_they_are_those_of_pycocotools(kind, seed, crowd, tmp_path):
    file, found = random_case(tmp_path, seed, crowd)
    stats, by_class = coco_stats(file, found, kind)
    np.testing.assert_allclose(list(stats.values()), oracle(file, found, kind))
    assert 0.05 < stats["AP@[0.50:0.95|all|100]"] < 0.95, "or this test shows little"
    assert list(by_class) == list(IDS)
    for name, values in by_class.items():
        np.testing.assert_allclose(
            list(values.values()), oracle(file, found, kind, IDS[name])
        )


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize(("seed", "crowd"), [(5, False), (6, True)])
def test_the_fast_way_gives_the_same(kind, seed, crowd, tmp_path):
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval")
    file, found = random_case(tmp_path, seed, crowd)
    fast = coco_stats(file, found, kind, fast_evaluator())
    slow = coco_stats(file, found, kind)
    assert fast_evaluator() is not COCOeval
    assert fast[0] == pytest.approx(slow[0], abs=1e-9)
    for name in IDS:
        assert fast[1][name] == pytest.approx(slow[1][name], abs=1e-9)


def test_the_fast_way_finds_nothing_in_nothing(tmp_path):
    file = write(tmp_path, [item(1, "leaf", [10, 10, 60, 60])])
    assert coco_stats(file, [], "segm", fast_evaluator()) == coco_stats(
        file, [], "segm"
    )


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_whole_is_the_mean_of_the_classes(kind, tmp_path):
    file, found = random_case(tmp_path, 3)
    stats, by_class = coco_stats(file, found, kind)
    for key, value in stats.items():
        values = [c[key] for c in by_class.values() if c[key] > -1]
        assert value == pytest.approx(np.mean(values) if values else -1)


def test_all_found_is_one(tmp_path):
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(2, "stem", [100, 50, 50, 70])]
    file = write(tmp_path, truth, names=["leaf", "stem"])
    for kind in ("segm", "bbox"):
        stats, by_class = coco_stats(file, [{**t, "score": 0.9} for t in truth], kind)
        assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(1)
        assert by_class["leaf"]["AR@[0.50:0.95|all|1000]"] == 1


def test_one_of_two_found_by_hand(tmp_path):
    # Precision 1 up to recall 0.5: 51 of the 101 recall thresholds, at every IoU.
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(1, "leaf", [200, 100, 60, 60])]
    file = write(tmp_path, truth, names=["leaf"])
    stats, _ = coco_stats(file, [{**truth[0], "score": 0.9}], "segm")
    assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(51 / 101)
    assert stats["AR@[0.50:0.95|all|100]"] == 0.5


def test_what_has_no_object_is_minus_one(tmp_path):
    truth = [item(1, "leaf", [10, 10, 60, 60])]  # medium: 32 to 96 pixels squared
    file = write(tmp_path, truth)
    stats, by_class = coco_stats(file, [{**truth[0], "score": 0.9}], "segm")
    assert set(by_class["stem"].values()) == {-1.0}
    assert stats["AP@[0.50:0.95|small|1000]"] == -1.0
    assert stats["AP@[0.50:0.95|medium|1000]"] == pytest.approx(1)
    assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(1), "no mean over -1"


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_nothing_found_is_zero(kind, tmp_path):
    file = write(tmp_path, [item(1, "leaf", [10, 10, 60, 60])])
    stats, by_class = coco_stats(file, [], kind)
    assert stats["AP@[0.50:0.95|all|100]"] == stats["AR@[0.50:0.95|all|1000]"] == 0.0
    assert by_class["leaf"]["AP@[0.50|all|1000]"] == 0.0
    assert set(by_class["root"].values()) == {-1.0}


def test_a_thousand_objects_count_where_the_key_says_so(tmp_path):
    corners = [(x, y) for x in range(0, 300, 15) for y in range(0, 225, 15)]
    truth = [item(1, "leaf", [x, y, 12, 12]) for x, y in corners]
    assert len(truth) == 300
    file = write(tmp_path, truth, names=["leaf"])
    found = [{**t, "score": 1 - n / 1000} for n, t in enumerate(truth)]
    stats, _ = coco_stats(file, found, "segm")
    assert stats["AP@[0.50|all|1000]"] == pytest.approx(1)
    assert stats["AR@[0.50:0.95|all|100]"] == pytest.approx(1 / 3)
    assert stats["AR@[0.50:0.95|all|300]"] == 1


def test_a_mask_is_small_by_its_own_area_not_by_its_boxs(tmp_path):
    # A thin ring of 700 pixels in a box of 60 x 60: a small object (under 32 x 32).
    outer, inner = (
        rle.decode(box_mask(*b)) for b in ([9, 9, 60, 60], [13, 13, 52, 52])
    )
    packed = rle.encode(np.asfortranarray(outer - inner))
    ring = {"size": list(SIZE), "counts": packed["counts"].decode()}
    area = float(rle.area(ring))
    assert area < 32**2
    truth = item(1, "leaf", [9, 9, 60, 60], segmentation=ring, area=area)
    miss = item(2, "leaf", [9, 9, 60, 60], segmentation=ring, area=area, score=0.99)
    file = write(tmp_path, [truth], names=["leaf"])
    stats, _ = coco_stats(file, [{**truth, "score": 0.9}, miss], "segm")
    # The false one of higher score is small too: precision is a half.
    assert stats["AP@[0.50:0.95|small|1000]"] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_predictions_are_left_as_they_are(kind, tmp_path):
    # pycocotools' loadRes writes box areas and box outlines into what it is given
    file, found = random_case(tmp_path, 4)
    before = json.dumps(found)
    coco_stats(file, found, kind)
    assert json.dumps(found) == before
