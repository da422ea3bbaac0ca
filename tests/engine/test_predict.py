"""A prediction of MMDetection as a `Result`, and weak objects that never get that far."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmengine.structures import InstanceData
from torch import nn

from cvtk.data.sources import ImageSource
from cvtk.engine.predict import to_result, weak_objects_left_out
from cvtk.engine.spec import ModelSpec
from cvtk.io import decode_mask


@pytest.fixture
def spec(tmp_path):
    return ModelSpec("a", tmp_path / "a.py", "segm", ["leaf", "stem"], [7, 3])


def sample(masks=True):
    """A prediction of two objects in an image of 8 x 6 pixels."""
    bitmaps = np.zeros((2, 6, 8), bool)
    bitmaps[0, 1:3, 2:5] = True
    found = InstanceData(
        bboxes=torch.tensor([[2.0, 1, 5, 3], [0, 0, 4, 6]]),
        scores=torch.tensor([0.75, 0.5]),
        labels=torch.tensor([1, 0]),
    )
    if masks:
        found.masks = torch.from_numpy(bitmaps)
    return SimpleNamespace(pred_instances=found, ori_shape=(6, 8)), bitmaps


def test_a_prediction_as_a_result(spec, tmp_path):
    image = ImageSource(tmp_path / "a b.jpg", "a b.jpg", 9)
    prediction, bitmaps = sample()
    result = to_result(prediction, image, spec, [0.0, 0.0])
    assert (result.name, result.height, result.width) == ("a b.jpg", 6, 8)
    np.testing.assert_array_equal(result.bboxes, [[2, 1, 3, 2], [0, 0, 4, 6]])
    one, two = result.to_coco(image_id=9)
    assert (one["category_id"], two["category_id"]) == (3, 7)
    assert (one["bbox"], one["score"], one["iscrowd"]) == ([2, 1, 3, 2], 0.75, 0)
    assert (one["area"], two["area"]) == (6, 0), "of the mask"
    np.testing.assert_array_equal(decode_mask(one["segmentation"]), bitmaps[0])


def test_a_prediction_of_boxes(spec, tmp_path):
    image = ImageSource(tmp_path / "a.jpg", "a.jpg", 1)
    result = to_result(sample(masks=False)[0], image, spec, [0.0, 0.0])
    assert result.masks is None
    assert [item["area"] for item in result.to_coco()] == [6, 24], "of the box"


def test_of_masks_without_boxes_the_boxes_are_those_of_the_masks(spec, tmp_path):
    """MMDetection's SOLO says that all boxes are 0."""
    image = ImageSource(tmp_path / "a.jpg", "a.jpg", 1)
    prediction, _ = sample()
    prediction.pred_instances.bboxes[:] = 0
    result = to_result(prediction, image, spec, [0.0, 0.0])
    np.testing.assert_array_equal(result.bboxes, [[2, 1, 3, 2], [0, 0, 0, 0]])


def test_weak_objects_are_left_out(spec, tmp_path):
    image = ImageSource(tmp_path / "a.jpg", "a.jpg", 1)
    assert len(to_result(sample()[0], image, spec, [0.5, 0.5])) == 2
    assert len(to_result(sample()[0], image, spec, [0.6, 0.6])) == 1
    assert len(to_result(sample()[0], image, spec, [0.8, 0.8])) == 0
    # Each class has its own: the sure one is a stem, the other one a leaf.
    assert len(to_result(sample()[0], image, spec, [0.5, 0.8])) == 1
    assert len(to_result(sample()[0], image, spec, [0.8, 0.5])) == 1


def network(head="BBoxHead"):
    """A network of two parts that look at scores."""
    part = type(head, (nn.Module,), {})()
    part.test_cfg = {"rcnn": {"score_thr": 0.05}, "rpn": {"score_thr": 0.0}}
    other = nn.Module()
    other.test_cfg = {"score_thr": 0.1, "nms": {"type": "nms"}}
    return nn.Sequential(part, other)


def thresholds(parts):
    first, second = parts
    return [
        first.test_cfg["rcnn"]["score_thr"],
        first.test_cfg["rpn"]["score_thr"],
        second.test_cfg["score_thr"],
    ]


def test_no_mask_is_made_of_a_weak_object():
    parts = network()
    with weak_objects_left_out(parts, 0.3):
        assert thresholds(parts) == pytest.approx([0.3, 0.0, 0.3]), (
            "proposals have scores of their own"
        )
        assert thresholds(parts)[0] < np.float32(0.3), "which an object may have"
    assert thresholds(parts) == [0.05, 0.0, 0.1]
    with pytest.raises(ZeroDivisionError), weak_objects_left_out(parts, 0.9):
        raise ZeroDivisionError
    assert thresholds(parts) == [0.05, 0.0, 0.1]


def test_where_weak_boxes_vote_none_is_left_out():
    parts = network("PAAHead")
    with weak_objects_left_out(parts, 0.3):
        assert thresholds(parts) == [0.05, 0.0, 0.1]
