"""What the metrics say of cases that can be computed by hand, and what is said of data they cannot judge."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from pycocotools import mask as rle

from cvtk.data import read
from cvtk.errors import DataError, FileError, OptionError
from cvtk.io import decode_mask, encode_mask
from cvtk.metrics import detection_limits, evaluate, ground_truth

SIZE = (240, 320)  # height, width
IDS = {"leaf": 7, "stem": 2, "root": 40}


def box_mask(x, y, w, h):
    """A filled ellipse in a box, so that mask and box differ."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = ((columns - x - w / 2) / (w / 2)) ** 2 + (
        (rows - y - h / 2) / (h / 2)
    ) ** 2
    return encode_mask(inside <= 1)


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


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_whole_is_the_mean_of_the_classes(kind, tmp_path):
    file, found = random_case(tmp_path, 3)
    metrics = evaluate(file, found, kind)
    stats, by_class = metrics.stats, metrics.class_stats
    for key, value in stats.items():
        values = [c[key] for c in by_class.values() if c[key] > -1]
        assert value == pytest.approx(np.mean(values) if values else -1)


def test_all_found_is_one(tmp_path):
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(2, "stem", [100, 50, 50, 70])]
    file = write(tmp_path, truth, names=["leaf", "stem"])
    for kind in ("segm", "bbox"):
        metrics = evaluate(file, [{**t, "score": 0.9} for t in truth], kind)
        stats, by_class = metrics.stats, metrics.class_stats
        assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(1)
        assert by_class["leaf"]["AR@[0.50:0.95|all|1000]"] == 1


def test_one_of_two_found_by_hand(tmp_path):
    # Precision 1 up to recall 0.5: 51 of the 101 recall thresholds, at every IoU.
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(1, "leaf", [200, 100, 60, 60])]
    file = write(tmp_path, truth, names=["leaf"])
    stats = evaluate(file, [{**truth[0], "score": 0.9}], "segm").stats
    assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(51 / 101)
    assert stats["AR@[0.50:0.95|all|100]"] == 0.5


def test_what_has_no_object_is_minus_one(tmp_path):
    truth = [item(1, "leaf", [10, 10, 60, 60])]  # medium: 32 to 96 pixels squared
    file = write(tmp_path, truth)
    metrics = evaluate(file, [{**truth[0], "score": 0.9}], "segm")
    stats, by_class = metrics.stats, metrics.class_stats
    assert set(by_class["stem"].values()) == {-1.0}
    assert stats["AP@[0.50:0.95|small|1000]"] == -1.0
    assert stats["AP@[0.50:0.95|medium|1000]"] == pytest.approx(1)
    assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(1), "no mean over -1"


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_nothing_found_is_zero(kind, tmp_path):
    file = write(tmp_path, [item(1, "leaf", [10, 10, 60, 60])])
    metrics = evaluate(file, [], kind)
    stats, by_class = metrics.stats, metrics.class_stats
    assert stats["AP@[0.50:0.95|all|100]"] == stats["AR@[0.50:0.95|all|1000]"] == 0.0
    assert by_class["leaf"]["AP@[0.50|all|1000]"] == 0.0
    assert set(by_class["root"].values()) == {-1.0}


def test_a_thousand_objects_count_where_the_key_says_so(tmp_path):
    corners = [(x, y) for x in range(0, 300, 15) for y in range(0, 225, 15)]
    truth = [item(1, "leaf", [x, y, 12, 12]) for x, y in corners]
    assert len(truth) == 300
    file = write(tmp_path, truth, names=["leaf"])
    found = [{**t, "score": 1 - n / 1000} for n, t in enumerate(truth)]
    stats = evaluate(file, found, "segm").stats
    assert stats["AP@[0.50|all|1000]"] == pytest.approx(1)
    assert stats["AR@[0.50:0.95|all|100]"] == pytest.approx(1 / 3)
    assert stats["AR@[0.50:0.95|all|300]"] == 1


def test_a_mask_is_small_by_its_own_area_not_by_its_boxs(tmp_path):
    # A thin ring of 700 pixels in a box of 60 x 60: a small object (under 32 x 32).
    outer, inner = (
        decode_mask(box_mask(*b)) for b in ([9, 9, 60, 60], [13, 13, 52, 52])
    )
    ring = encode_mask(outer - inner)
    area = float(rle.area(ring))
    assert area < 32**2
    truth = item(1, "leaf", [9, 9, 60, 60], segmentation=ring, area=area)
    miss = item(2, "leaf", [9, 9, 60, 60], segmentation=ring, area=area, score=0.99)
    file = write(tmp_path, [truth], names=["leaf"])
    stats = evaluate(file, [{**truth, "score": 0.9}, miss], "segm").stats
    # The false one of higher score is small too: precision is a half.
    assert stats["AP@[0.50:0.95|small|1000]"] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_predictions_are_left_as_they_are(kind, tmp_path):
    # pycocotools' loadRes writes box areas and box outlines into what it is given
    file, found = random_case(tmp_path, 4)
    before = json.dumps(found)
    evaluate(file, found, kind)
    assert json.dumps(found) == before


def grid(count, side=8):
    """Objects side by side in one image, and as many perfect predictions."""
    columns = SIZE[1] // (side + 2)
    truth = []
    for n in range(count):
        row, column = divmod(n, columns)
        truth.append(
            item(1, "leaf", [column * (side + 2), row * (side + 2), side, side])
        )
    found = [{**t, "score": 1 - n / 10_000} for n, t in enumerate(truth)]
    return truth, found


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize(
    ("count", "limit"), [(100, 100), (101, 300), (200, 300), (301, 1000)]
)
def test_where_images_hold_many_objects_the_headline_counts_them(
    kind, count, limit, tmp_path
):
    truth, found = grid(count)
    metrics = evaluate(write(tmp_path, truth, names=["leaf"]), found, kind)
    assert metrics.limits == (100, 300, 1000)
    assert metrics.headline == f"AP@[0.50:0.95|all|{limit}]"
    assert metrics.stats[metrics.headline] == pytest.approx(1)
    assert metrics.class_stats["leaf"][metrics.headline] == pytest.approx(1)
    told = [note for note in metrics.notes if "1.jpg" in note]
    if limit == 100:
        assert len(metrics.stats) == 12 and not told
    else:
        assert next(iter(metrics.stats)) == metrics.headline
        assert metrics.stats["AP@[0.50:0.95|all|100]"] < 0.999
        assert len(told) == 1 and str(count) in told[0] and str(limit) in told[0]


def test_above_a_thousand_the_limits_cover_the_data(tmp_path):
    truth, found = grid(1250, side=5)
    file = write(tmp_path, truth, names=["leaf"])
    assert detection_limits(read(file)) == (100, 300, 1000, 2000)
    stats = evaluate(file, found, "bbox").stats
    assert stats["AP@[0.50:0.95|all|2000]"] == pytest.approx(1)
    assert stats["AP@[0.50|all|2000]"] == pytest.approx(1)
    assert stats["AR@[0.50:0.95|all|1000]"] == pytest.approx(1000 / 1250)


def test_crowds_need_not_be_found_and_do_not_raise_the_limits(tmp_path):
    truth, _ = grid(150)
    crowds = [{**t, "iscrowd": 1} for t in truth[60:]]
    file = write(tmp_path, truth[:60] + crowds, names=["leaf"])
    assert ground_truth(file).most_objects() == ("1.jpg", 60)
    assert evaluate(file, [], "segm").headline == "AP@[0.50:0.95|all|100]"


def test_notes_say_what_minus_one_means(tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    file = write(tmp_path, [truth], names=["leaf", "root"])
    (note,) = evaluate(file, [{**truth, "score": 0.9}], "segm").notes
    assert note == (
        "-1 means that there is no object of that class and size."
        " There are no small objects, no large objects and no objects of the class 'root'."
    )
    (note,) = evaluate(write(tmp_path, []), [], "segm").notes
    assert note == "-1 everywhere: there is no object to be found."


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
def test_nothing_is_printed(kind, engine, tmp_path, capfd, monkeypatch):
    if engine == "pycocotools":
        monkeypatch.setitem(sys.modules, "hotcoco", None)
    file, found = random_case(tmp_path, 1, crowd=True)
    evaluate(file, found, kind)
    evaluate(file, [], kind)
    assert capfd.readouterr() == ("", "")


def test_an_object_with_the_id_0_can_be_found(tmp_path):
    # pycocotools itself takes its id for "no match", and the AP of a perfect result for 0.25.
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(1, "leaf", [200, 100, 60, 60])]
    file = write(tmp_path, truth, names=["leaf"])
    content = json.loads(file.read_text())
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    file.write_text(json.dumps(content))
    found = [{**t, "score": 0.9} for t in truth]
    assert evaluate(file, found, "segm").stats["AP@[0.50|all|1000]"] == pytest.approx(1)


def test_ids_may_be_text_or_negative(tmp_path):
    file = write(tmp_path, [item(1, "leaf", [10, 10, 60, 60])], names=["leaf"])
    content = json.loads(file.read_text())
    content["images"][0]["id"] = content["annotations"][0]["image_id"] = "plot A"
    content["categories"][0]["id"] = content["annotations"][0]["category_id"] = -1
    file.write_text(json.dumps(content))
    found = {
        **item(1, "leaf", [10, 10, 60, 60]),
        "image_id": "plot A",
        "category_id": -1,
    }
    stats = evaluate(file, [{**found, "score": 1}], "bbox").stats
    assert stats["AP@[0.50:0.95|all|100]"] == pytest.approx(1)


def test_what_an_annotation_lacks_is_measured_on_its_mask(tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    bare = {k: truth[k] for k in ("image_id", "category_id", "segmentation")}
    whole = evaluate(
        write(tmp_path, [truth], names=["leaf"]), [{**truth, "score": 1}], "segm"
    )
    lacking = evaluate(
        write(tmp_path, [bare], names=["leaf"]), [{**truth, "score": 1}], "segm"
    )
    assert lacking.stats == whole.stats
    (measured,) = ground_truth(write(tmp_path, [bare], names=["leaf"])).objects
    assert measured.bbox == [10, 10, 60, 60] and measured.area == truth["area"]


def test_annotations_of_no_image_are_left_out_and_named(tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    file = write(tmp_path, [truth, {**truth, "image_id": 77}], names=["leaf"])
    metrics = evaluate(file, [{**truth, "score": 1}], "segm")
    assert metrics.stats["AR@[0.50:0.95|all|100]"] == 1
    assert metrics.notes[0].startswith("1 annotation names an image or a category")


SHORT = {"size": list(SIZE), "counts": [10, 10]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentation": SHORT}, "do not add up to its size"),
        ({"segmentation": {"size": list(SIZE), "counts": "zz~"}}, "compressed text"),
        ({"segmentation": {"size": [2, 2], "counts": [4]}}, "2 x 2 pixels"),
        ({"segmentation": [[1, 1, 5, 5]]}, "three points"),
        ({"segmentation": []}, "no mask"),
        ({"segmentation": None, "bbox": None}, "no mask"),
        ({"bbox": [1, 2, 3]}, "no box of four numbers"),
    ],
    ids=str,
)
def test_a_true_object_that_cannot_be_used_is_named(change, words, tmp_path):
    truth = [item(1, "leaf", [10, 10, 60, 60]), item(2, "leaf", [10, 10, 60, 60])]
    file = write(tmp_path, [truth[0], {**truth[1], **change}], names=["leaf"])
    with pytest.raises(DataError, match=words) as error:
        evaluate(file, [], "segm")
    assert "truth.json: annotation 2 of '2.jpg'" in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 9}, "image 9, which .* does not have"),
        ({"category_id": 9}, "category 9, which .* does not have"),
        ({"score": float("nan")}, "score that is not a number"),
        ({"segmentation": [[1, 1, 9, 1, 9, 9]]}, "not compressed RLE"),
        ({"segmentation": SHORT}, "not compressed RLE"),
        ({"score": "0.5"}, "score that is not a number"),
        (
            {"segmentation": encode_mask(np.ones((4, 6)))},
            "is 6 x 4 pixels, .* 320 x 240",
        ),
    ],
    ids=str,
)
def test_a_prediction_that_cannot_be_used_is_named(change, words, tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    file = write(tmp_path, [truth], names=["leaf"])
    with pytest.raises(DataError, match=words):
        evaluate(file, [{**truth, "score": 0.5, **change}], "segm")


@pytest.mark.parametrize("field", ["image_id", "category_id", "score", "bbox"])
def test_a_field_that_a_prediction_lacks_is_named(field, tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    found = {**truth, "score": 0.5}
    del found[field]
    with pytest.raises(DataError, match=f"prediction 1 has no '{field}'"):
        evaluate(write(tmp_path, [truth], names=["leaf"]), [found], "bbox")


@pytest.mark.parametrize(
    ("lists", "words"),
    [("images", "the id 1"), ("categories", "the id 7")],
)
def test_ids_that_occur_twice_are_named(lists, words, tmp_path):
    file = write(tmp_path, [])
    content = json.loads(file.read_text())
    content[lists].append(content[lists][0])
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"{words} belongs to more than one"):
        evaluate(file, [], "bbox")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        evaluate(tmp_path / "none.json", [], "bbox")


@pytest.mark.parametrize("limits", [(), (0, 10), (100, 10), (5, 5)])
def test_limits_ascend(limits, tmp_path):
    with pytest.raises(OptionError, match="not ascending"):
        evaluate(write(tmp_path, []), [], "bbox", limits)


def test_masks_are_not_compared_where_only_boxes_were_read(tmp_path):
    truth = item(1, "leaf", [10, 10, 60, 60])
    boxes = ground_truth(write(tmp_path, [truth], names=["leaf"]), masks=False)
    assert evaluate(boxes, [{**truth, "score": 1}], "bbox").stats
    with pytest.raises(OptionError, match="there are only boxes"):
        evaluate(boxes, [{**truth, "score": 1}], "segm")
