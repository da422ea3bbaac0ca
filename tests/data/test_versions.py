"""What people changed, on images of a few rectangles whose overlaps can be computed by hand."""

from __future__ import annotations

import csv
import json
import math

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from examples import photo
from msgspec import Raw

from cvtk.cli import main
from cvtk.data import Annotation, Category, Dataset, Image, diff, write
from cvtk.data.convert import convert
from cvtk.data.masks import box_polygon, from_bitmap
from cvtk.errors import CvtkError, DataError, FileError, OptionError

SIZE = 100
CLASSES = ["leaf", "fruit"]


def box(x, y, w, h, name="leaf", image="a.png", **more):
    """An object as x, y, width and height of its mask, for `version`."""
    return {"box": (x, y, w, h), "name": name, "image": image, **more}


def version(*objects, images=("a.png",), classes=CLASSES, size=(SIZE, SIZE)):
    """A data set of rectangles."""
    found = []
    for number, thing in enumerate(objects, 1):
        annotation = Annotation(
            number,
            images.index(thing["image"]) + 1,
            classes.index(thing["name"]) + 1,
            [float(v) for v in thing["box"]],
            iscrowd=int(thing.get("crowd", False)),
        )
        if thing.get("mask", True):
            annotation.segmentation = [box_polygon(*map(float, thing["box"]))]
        if "score" in thing:
            annotation.extra = {"score": Raw(msgspec.json.encode(thing["score"]))}
        found.append(annotation)
    return Dataset(
        [Image(n, name, *size) for n, name in enumerate(images, 1)],
        found,
        [Category(n, name) for n, name in enumerate(classes, 1)],
    )


def kinds(changes):
    return {kind: n for kind, n in changes.counts().items() if n}


def test_added_removed_reshaped_and_renamed():
    before = version(
        box(0, 0, 10, 10),
        box(20, 0, 10, 10),
        box(40, 0, 10, 10),
        box(60, 0, 10, 10),
        box(0, 50, 20, 20),
    )
    after = version(
        box(60, 0, 10, 10, "fruit"),  # renamed
        box(20, 0, 10, 5),  # half of it is left
        box(0, 0, 10, 10),
        box(80, 80, 5, 5, "fruit"),  # added
        box(2, 50, 20, 20, "fruit"),  # renamed, and moved by 2
    )
    changes = diff(before, after)
    assert kinds(changes) == {
        "unchanged": 1,
        "reshaped": 1,
        "renamed": 2,
        "added": 1,
        "removed": 1,
    }
    found = {(c.before_id, c.after_id): (c.kind, c.iou) for c in changes.objects}
    assert found[1, 3] == ("unchanged", 1)
    assert found[2, 2] == ("reshaped", 0.5)
    assert found[4, 1] == ("renamed", 1)
    assert found[5, 5] == ("renamed", pytest.approx(18 / 22))
    assert found[3, None][0] == "removed" and math.isnan(found[3, None][1])
    assert found[None, 4][0] == "added"
    assert changes.renamings() == {("leaf", "fruit"): 2}
    assert changes.mean_iou() == pytest.approx((1 + 0.5 + 1 + 18 / 22) / 4)
    by_class = changes.by_class()
    assert by_class["leaf"]["removed"] == 1 and by_class["leaf"]["renamed"] == 2
    assert by_class["fruit"] == {
        "unchanged": 0,
        "reshaped": 0,
        "renamed": 0,
        "added": 1,
        "removed": 0,
    }


def test_nothing_changed():
    both = version(box(0, 0, 10, 10), box(5, 5, 10, 10, "fruit"))
    assert kinds(diff(both, both)) == {"unchanged": 2}
    empty = version()
    assert kinds(diff(empty, empty)) == {}
    assert math.isnan(diff(empty, empty).mean_iou())
    assert kinds(diff(empty, both)) == {"added": 2}
    assert kinds(diff(both, empty)) == {"removed": 2}


def test_one_to_one_and_those_that_overlap_most_first():
    # Both later objects overlap the first one by more than 0.3; the second fits it better.
    before = version(box(0, 0, 20, 10))
    after = version(box(0, 0, 10, 10), box(0, 0, 18, 10))
    changes = diff(before, after)
    assert kinds(changes) == {"reshaped": 1, "added": 1}
    [reshaped] = [c for c in changes.objects if c.kind == "reshaped"]
    assert (reshaped.after_id, reshaped.iou) == (2, 0.9)


def test_an_object_of_two_classes_keeps_its_own():
    """A model may find one object as two classes, and people remove the wrong one."""
    before = version(box(0, 0, 9, 9, "leaf"), box(0, 0, 9, 9, "fruit"))
    after = version(box(0, 0, 9, 9, "fruit"))
    changes = diff(before, after)
    assert kinds(changes) == {"unchanged": 1, "removed": 1}
    [removed] = [c for c in changes.objects if c.kind == "removed"]
    assert removed.before_class == "leaf"


def test_too_little_overlap_is_another_object():
    before, after = version(box(0, 0, 10, 10)), version(box(0, 0, 10, 2))
    assert kinds(diff(before, after)) == {"removed": 1, "added": 1}
    assert kinds(diff(before, after, least_iou=0.19)) == {"reshaped": 1}


def test_images_by_name_or_by_the_last_part_of_it():
    before = version(
        box(0, 0, 9, 9, image="x/a.png"),
        box(0, 0, 9, 9, image="x/b.png"),
        box(0, 0, 9, 9, image="c.png"),
        images=("x/a.png", "x/b.png", "y/b.png", "c.png"),
    )
    after = version(
        box(0, 0, 9, 9, image="images/a.png"),
        images=("images/a.png", "b.png", "c.png", "d.png"),
    )
    changes = diff(before, after)
    assert changes.images == ["c.png", "images/a.png"]
    # "b.png" may be either of two.
    assert changes.only_before == ["x/b.png", "y/b.png"]
    assert changes.only_after == ["b.png", "d.png"]
    assert kinds(changes) == {"unchanged": 1, "removed": 1}
    assert changes.by_image()["c.png"]["removed"] == 1


def test_crowds_are_not_compared_nor_is_what_lies_in_them():
    before = version(box(0, 0, 50, 50, crowd=True), box(80, 80, 9, 9))
    after = version(
        box(10, 10, 9, 9),  # drawn in place of the crowd
        box(45, 60, 9, 9),  # elsewhere
        box(80, 80, 9, 9),
    )
    changes = diff(before, after)
    assert kinds(changes) == {"unchanged": 1, "added": 1}
    assert (changes.crowds, changes.in_crowds) == (1, 1)


def test_weak_predictions_that_nobody_was_shown():
    before = version(box(0, 0, 9, 9, score=0.9), box(50, 50, 9, 9, score=0.2))
    after = version(box(0, 0, 9, 9))
    assert kinds(diff(before, after)) == {"unchanged": 1, "removed": 1}
    changes = diff(before, after, score=0.5)
    assert kinds(changes) == {"unchanged": 1}
    assert changes.objects[0].score == 0.9


def test_boxes_where_one_has_no_mask():
    before = version(box(0, 0, 10, 10, mask=False))
    [change] = diff(before, version(box(0, 0, 10, 5))).objects
    assert (change.kind, change.iou) == ("reshaped", 0.5)


def test_masks_count_not_boxes():
    """Two triangles in one box share no pixel."""
    before, after = version(box(0, 0, 20, 20)), version(box(0, 0, 20, 20))
    upper = np.triu(np.ones((20, 20)), 1)
    mask = np.zeros((SIZE, SIZE))
    mask[:20, :20] = upper
    before.annotations[0].segmentation = from_bitmap(mask)
    mask[:20, :20] = 1 - upper
    after.annotations[0].segmentation = from_bitmap(mask)
    assert kinds(diff(before, after)) == {"removed": 1, "added": 1}


@pytest.mark.parametrize(
    ("after", "error", "message"),
    [
        (version(images=("b.png",)), DataError, "no image in common"),
        (version(size=(50, 100)), DataError, r"a.png has 100 x 100 pixels before"),
    ],
)
def test_what_cannot_be_compared(after, error, message):
    with pytest.raises(error, match=message):
        diff(version(), after)


def test_limits_that_do_not_fit():
    with pytest.raises(OptionError, match="--iou <= --same"):
        diff(version(), version(), least_iou=0.9, same_iou=0.5)


@pytest.fixture
def files(tmp_path):
    """Predictions, and a LabelMe folder of them that somebody corrected."""
    folder = tmp_path / "photos"
    photo(folder / "a.png", size=(SIZE, SIZE))
    predictions = version(
        box(0, 0, 30, 30, score=0.9),
        box(50, 0, 30, 30, score=0.8),
        box(50, 50, 30, 30, score=0.4),
    )
    predictions.folder = folder
    before = tmp_path / "instances.json"
    write(predictions, before)
    labelme = tmp_path / "labelme"
    convert(before, labelme, target_format="labelme", image_folder=folder)
    file = labelme / "a.json"
    content = json.loads(file.read_text("utf-8"))
    shapes = content["shapes"]
    shapes[0]["label"] = "=fruit"
    shapes[1]["points"] = [[50, 0], [80, 0], [80, 20], [50, 20]]
    del shapes[2]
    shapes.append(
        {**shapes[0], "label": "leaf", "points": [[5, 60], [25, 60], [25, 80]]}
    )
    file.write_text(json.dumps(content), "utf-8")
    return before, labelme


def test_the_command_tells_and_writes(files, tmp_path):
    outputs = tmp_path / "changes.csv", tmp_path / "changes.json"
    for output in outputs:
        words = ["data", "diff", *map(str, files), "--output", str(output)]
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert "1 image compared." in done.output
    assert "Renamed: leaf -> =fruit: 1" in done.output
    rows = list(csv.DictReader(outputs[0].read_text("utf-8").splitlines()))
    assert [row["change"] for row in rows] == [
        "renamed",
        "reshaped",
        "removed",
        "added",
    ]
    assert rows[0]["class_after"] == "'=fruit"  # harmless in a spreadsheet
    assert (rows[1]["iou"], rows[1]["score_before"]) == ("0.666667", "0.8")
    assert (rows[3]["iou"], rows[3]["id_before"]) == ("", "")
    document = json.loads(outputs[1].read_text("utf-8"))
    assert document["counts"]["added"] == 1
    assert document["renamed"] == [["leaf", "=fruit", 1]]
    assert document["objects"][3]["iou"] is None
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and "exists already" in again.stderr
    with pytest.raises(FileError, match=r"neither in \.csv nor in \.json"):
        diff(*files).save(tmp_path / "changes.txt")


def test_damaged_masks_are_named(tmp_path):
    after = version(box(0, 0, 10, 10))
    after.annotations[0].segmentation = [[1.0, 2, 3]]
    with pytest.raises(CvtkError, match=r"annotation 1 of a.png: A polygon has 3"):
        diff(version(box(0, 0, 10, 10)), after)
