"""What the configuration is told of the poses in COCO files, of people and others."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.config import Config

from cvtk.pose2seg.poses import (
    PoseError,
    describe_keypoints,
    fit_poses,
    instances_by_image,
    require_poses,
)
from cvtk.zoo.index import OWN

CONFIG = OWN / "configs" / "pose2seg_r50_fpn.py"


@pytest.fixture
def cfg():
    return Config.fromfile(CONFIG).to_dict()


def test_a_configuration_knows_the_poses_of_its_training(cfg, kites):
    for loader in ("train_dataloader", "val_dataloader"):
        cfg[loader]["dataset"]["type"] = "CocoDataset"  # as the recipe puts it there
    fit_poses(cfg, kites, ["kite"], "a.json")
    model = cfg["model"]
    assert model["keypoints"] == ["head", "left_hand", "right_hand", "foot", "tail"]
    assert model["limbs"] == [[0, 1], [0, 2], [0, 3], [3, 4]]
    assert model["pairs"] == [[1, 2]]
    # The two whole kites are one pose; the third is too little of one.
    whole = np.array(model["templates"][0])
    centre, side = [20, 18], 28
    head = (np.array([20, 4]) - centre) / side + 0.5
    np.testing.assert_allclose(whole[0], [*head, 2], atol=1e-4)
    for loader in ("train_dataloader", "val_dataloader"):
        dataset = cfg[loader]["dataset"]
        assert dataset["type"] == "PoseDataset"
        steps = {step["type"]: step for step in dataset["pipeline"]}
        assert steps["LoadPoses"]["count"] == 5
        assert steps["PackPoses"]["pairs"] == [[1, 2]]


def test_the_templates_of_a_configuration_are_plain_values(cfg, kites, tmp_path):
    fit_poses(cfg, kites, ["kite"], "a.json")
    Config(cfg).dump(tmp_path / "a.py")
    again = Config.fromfile(tmp_path / "a.py", import_custom_modules=False)
    assert again.model.templates == cfg["model"]["templates"]


def test_estimated_poses_have_their_scores(kites):
    kites["annotations"][0]["score"] = 0.75
    kites["annotations"][1]["iscrowd"] = 1
    found = instances_by_image(kites, ["bird", "kite"])
    assert [(one["score"], one["bbox_label"]) for one in found[1]] == [(0.75, 1)]
    assert len(found[2]) == 1


OTHER = {"id": 2, "name": "bird", "keypoints": ["beak", "tail"], "skeleton": [[1, 2]]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda coco: coco["categories"][0].pop("keypoints"),
            "the class 'kite' has no keypoints",
        ),
        (
            lambda coco: coco["categories"].append({**OTHER, "keypoints": None}),
            "the class 'bird' has no keypoints",
        ),
        (
            lambda coco: coco["categories"].append(OTHER),
            "the classes 'kite' (head, left_hand, right_hand, foot, ... 5 in all) and 'bird' (beak, tail) have"
            " different keypoints; train a model for each",
        ),
        (
            lambda coco: [each.pop("keypoints") for each in coco["annotations"]],
            "no object of (kite) has keypoints",
        ),
        (
            lambda coco: coco["annotations"][1]["keypoints"].pop(),
            "annotation 2: its keypoints are not 5 of x, y and visibility",
        ),
    ],
    ids=["none", "none of one", "different", "no pose", "cut off"],
)
def test_what_cannot_be_learned_from_is_said(cfg, kites, change, said):
    change(kites)
    classes = [category["name"] for category in kites["categories"]]
    with pytest.raises(PoseError) as caught:
        fit_poses(cfg, kites, classes, "a.json")
    assert str(caught.value) == f"a.json: {said}"


def test_classes_may_share_their_keypoints(cfg, kites):
    kites["categories"].append({**kites["categories"][0], "id": 2, "name": "dragon"})
    fit_poses(cfg, kites, ["dragon", "kite"], "a.json")
    assert len(cfg["model"]["keypoints"]) == 5


def test_poses_with_other_keypoints_are_refused(kites):
    with pytest.raises(PoseError, match=r"'kite' has the keypoints \(head, .*not \("):
        require_poses(kites, ["kite"], ["tail", "head"], "a.json")


@pytest.mark.parametrize("skeleton", [None, "none", [[1, 9], [0, 1], "ab", [2, 1]]])
def test_odd_skeletons_do_no_harm(kites, skeleton):
    kites["categories"][0]["skeleton"] = skeleton
    limbs = describe_keypoints(kites, ["kite"], "a.json")["limbs"]
    assert limbs == ([[1, 0]] if isinstance(skeleton, list) else [])
