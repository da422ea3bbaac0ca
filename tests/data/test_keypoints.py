"""Keypoints: every command that keeps objects keeps theirs, and `show` draws skeletons."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from examples import coco_dict, photo

from cvtk.cli import main
from cvtk.data import read
from cvtk.data.edit import combine
from cvtk.data.keypoints import keypoints_of, limbs_of, names_of
from cvtk.data.show import draw
from cvtk.errors import DataError

NAMES = ["head", "left foot", "right foot"]
# Of a beetle in the picture of 40 x 30 pixels: its head is seen, one foot is hidden, one was not marked.
POINTS = [8, 6, 2, 20, 16, 1, 0, 0, 0]


def poses(count=1, names=NAMES, points=POINTS, **category):
    """A COCO document with one object and its keypoints in each image."""
    [image], [square] = coco_dict()["images"], coco_dict()["annotations"]
    numbers = range(1, count + 1)
    kind = {"id": 1, "name": "beetle", "keypoints": names, "skeleton": [[1, 2], [1, 3]]}
    pose = {"keypoints": points, "num_keypoints": 2}
    return {
        "images": [{**image, "id": n, "file_name": f"photos/{n}.png"} for n in numbers],
        "annotations": [{**square, "id": n, "image_id": n, **pose} for n in numbers],
        "categories": [{**kind, **category}],
    }


@pytest.fixture
def write(tmp_path):
    def write(name="a.json", count=1, **changes):
        for number in range(1, count + 1):
            photo(tmp_path / "photos" / f"{number}.png", seed=number)
        (tmp_path / name).write_text(json.dumps(poses(count, **changes)))
        return tmp_path / name

    return write


def test_keypoints_are_read(write):
    dataset = read(write())
    points = keypoints_of(dataset.annotations[0])
    np.testing.assert_array_equal(points, [[8, 6, 2], [20, 16, 1], [0, 0, 0]])
    [category] = dataset.categories
    assert names_of(category) == NAMES
    assert limbs_of(category) == [(0, 1), (0, 2)], "COCO counts from 1"


@pytest.mark.parametrize(
    "points", [None, [], "head", [1, 2], [1, 2, "seen"], [1, 2, None], [[1, 2, 2]]]
)
def test_what_is_no_keypoints_counts_as_none(write, points):
    dataset = read(write(points=points, skeleton="none"))
    assert keypoints_of(dataset.annotations[0]) is None
    assert limbs_of(dataset.categories[0]) == []
    draw(dataset, dataset.images[0], dataset.annotations)


def test_a_skeleton_is_drawn_where_its_keypoints_are(write):
    dataset = read(write())
    (image,) = dataset.images
    drawn = np.asarray(draw(dataset, image, dataset.annotations), int)
    for annotation in dataset.annotations:
        del annotation.extra["keypoints"]
    plain = np.asarray(draw(dataset, image, dataset.annotations), int)
    changed = (drawn != plain).any(axis=2)
    assert changed[4, 8] and changed[11, 14], "the head's edge, and the limb to a foot"
    assert (drawn[16, 20] == 255).all(), "the hidden foot"
    assert not changed[:, 24:].any() and not changed[20:].any()
    assert not changed[:3].any(), "a keypoint that is missing is not drawn"


def test_odd_skeletons_do_no_harm(write):
    limbs = [[1, 9], [0, 1], [1], "ab", [1.5, 2], None, [2, 1]]
    dataset = read(write(points=[1e9, -1e9, 2, 5, 5, 2], skeleton=limbs))
    assert limbs_of(dataset.categories[0]) == [(0, 8), (1, 0)]
    draw(dataset, dataset.images[0], dataset.annotations)


def test_commands_keep_keypoints(write, tmp_path):
    def run(*arguments):
        done = CliRunner().invoke(main, ["data", *map(str, arguments)])
        assert done.exit_code == 0, done.output

    source = write(count=4)
    run("split", source, "--output", tmp_path / "sets", "--ratios", "1:1")
    parts = sorted((tmp_path / "sets").glob("*.json"))
    run("combine", *parts[:2], tmp_path / "both.json")
    run("remove", tmp_path / "both.json", tmp_path / "less.json", "--image", "1.png")
    run("convert", tmp_path / "both.json", tmp_path / "again" / "c.json")
    for file in (*parts[:2], *(tmp_path / n for n in ("both.json", "again/c.json"))):
        content = json.loads(file.read_text())
        assert [category["keypoints"] for category in content["categories"]] == [NAMES]
        assert content["annotations"]
        assert all(item["keypoints"] == POINTS for item in content["annotations"])


def test_sets_with_other_keypoints_are_not_combined(write):
    one, other = read(write()), read(write("b.json", names=NAMES[::-1]))
    with pytest.raises(
        DataError, match=r"b\.json: beetle has the keypoints right foot"
    ):
        combine([one, other])
