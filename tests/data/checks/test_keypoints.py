"""`cvtk data check` on keypoints."""

from __future__ import annotations

import json

import pytest
from examples import coco_dict, photo

from cvtk.data.checks import check


@pytest.fixture
def found(tmp_path):
    """Checks a set of one beetle, and returns what is said of its keypoints."""

    def found(annotation=(), **category):
        content = coco_dict()
        pose = {"keypoints": [8, 6, 2, 20, 16, 1, 0, 0, 0], "num_keypoints": 2}
        content["annotations"] = [
            {**content["annotations"][0], **pose, **dict(annotation)}
        ]
        names = ["head", "left foot", "right foot"]
        beetle = {"id": 1, "name": "beetle", "keypoints": names, "skeleton": [[1, 2]]}
        content["categories"] = [{**beetle, **category}]
        photo(tmp_path / "photos" / "é b.png")
        file = tmp_path / "a.json"
        file.write_text(json.dumps(content))
        return [p.message for p in check([file]).problems.of_kind("keypoints")]

    return found


def test_nothing_is_wrong_with_good_keypoints(found):
    assert found() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keypoints": [8, 6]}, "are not x, y and visibility"),
        ({"keypoints": "head"}, "are not x, y and visibility"),
        ({"keypoints": [8, 6, 2, 9, 9, 2]}, "has 2 keypoints, and its class names 3"),
        (
            {"keypoints": [8, 6, 2, 9, 9, 3, 0, 0, 0]},
            "visibility of a keypoint is not 0",
        ),
        ({"num_keypoints": 3}, "num_keypoints is 3, and 2 are marked"),
        ({"keypoints": [8, 6, 2, 41, 9, 2, 0, 0, 0]}, "1 of its keypoints lie outside"),
    ],
)
def test_keypoints_of_an_object(found, change, said):
    (message,) = found(change)
    assert said in message


@pytest.mark.parametrize("limb", [[1, 4], [0, 1], [1], "head", [1.5, 2]])
def test_a_limb_joins_two_keypoints_of_its_class(found, limb):
    (message,) = found(skeleton=[[1, 2], limb])
    assert "a limb is a pair of numbers from 1 to 3" in message


def test_a_class_without_names(found):
    assert found(keypoints=None, skeleton=None) == [
        "it has 3 keypoints, and its class names 0"
    ]
