"""What stands for functions of MMDetection while a network is traced gives what they give."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import mmcv.ops
import torch
from mmdet.models.dense_heads import RTMDetInsHead
from mmdet.models.task_modules.coders import delta_xywh_bbox_coder
from mmdet.models.utils import filter_scores_and_topk
from mmdet.structures.bbox import distance2bbox

from cvtk.engine.export import stand_ins as ours
from cvtk.errors import ModelError


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def boxes(count):
    corners = torch.rand(count, 2) * 100
    return torch.cat([corners, corners + torch.rand(count, 2) * 40], 1)


@pytest.mark.parametrize("count", [0, 1, 200])
@pytest.mark.parametrize("more", [{}, {"max_num": 7}, {"class_agnostic": True}])
def test_nms(count, more):
    arguments = boxes(count), torch.rand(count), torch.randint(0, 3, (count,))
    settings = {"type": "nms", "iou_threshold": 0.3, **more}
    found = ours.batched_nms(*arguments, settings)
    if not count:
        assert found[0].shape == (0, 5) and found[1].shape == (0,)
        return
    for one, other in zip(
        found, mmcv.ops.batched_nms(*arguments, settings), strict=True
    ):
        assert torch.equal(one, other)


def test_nms_without_empty_boxes():
    some = torch.tensor([[0.0, 0, 9, 9], [5, 5, 5, 8], [40, 40, 50, 50]])
    settings = {"type": "nms", "iou_threshold": 0.3, ours.WITHOUT_EMPTY: True}
    scores = torch.tensor([0.1, 0.9, 0.5])
    found, kept = ours.batched_nms(some, scores, torch.zeros(3), settings)
    assert kept.tolist() == [2, 0]
    assert torch.equal(found[:, 4], scores[kept])


def test_nms_that_has_no_operator():
    settings = {"type": "soft_nms", "iou_threshold": 0.3}
    with pytest.raises(ModelError, match=r"soft_nms"):
        ours.batched_nms(boxes(3), torch.rand(3), torch.zeros(3), settings)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0])
def test_the_best_scores(threshold):
    scores = torch.rand(50, 3)
    more = {"a": torch.rand(50, 4), "b": torch.arange(50)}
    found = ours.filter_scores_and_topk(scores, threshold, 40, more)
    expected = filter_scores_and_topk(scores, threshold, 40, more)
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert torch.equal(one, other)
    for name in more:
        assert torch.equal(found[3][name], expected[3][name])


@pytest.mark.parametrize("max_shape", [None, (60, 80)])
def test_boxes_from_distances(max_shape):
    points, distances = torch.rand(30, 2) * 100, torch.rand(30, 4) * 50
    expected = distance2bbox(points, distances, max_shape)
    assert torch.equal(ours.distance2bbox(points, distances, max_shape), expected)


@pytest.mark.parametrize(
    "more", [{}, {"max_shape": (60, 80)}, {"add_ctr_clamp": True}], ids=str
)
@pytest.mark.parametrize("classes", [1, 3])
def test_boxes_from_deltas(classes, more):
    deltas = torch.randn(30, classes * 4)
    arguments = boxes(30), deltas, (0.1, 0, 0, 0), (0.1, 0.1, 0.2, 0.2)
    expected = delta_xywh_bbox_coder.delta2bbox(*arguments, **more)
    torch.testing.assert_close(ours.delta2bbox(*arguments, **more), expected)


def test_the_boxes_of_the_next_stage():
    """As Sparse R-CNN asks for them: of one image, with no true box among them."""
    from mmdet.models.roi_heads.bbox_heads import DIIHead
    from mmengine.structures import InstanceData

    count = 6
    head = DIIHead(num_classes=3, in_channels=8, feedforward_channels=8)
    rois = torch.cat([torch.zeros(count, 1), boxes(count)], 1)
    arguments = (
        [InstanceData(pos_is_gt=torch.zeros(count))],
        {
            "rois": rois,
            "bbox_targets": (torch.zeros(count, dtype=torch.long), None),
            "bbox_pred": torch.randn(count, 4),
            "cls_score": torch.randn(count, 3),
        },
        [{"img_shape": (60, 80)}],
    )
    [expected] = head.refine_bboxes(*arguments)
    [found] = ours.refine_bboxes(head, *arguments)
    torch.testing.assert_close(found.bboxes, expected.bboxes)


def test_the_boxes_that_are_learned():
    from mmdet.models.dense_heads import EmbeddingRPNHead
    from mmdet.structures import DetDataSample

    head = EmbeddingRPNHead(num_proposals=3, proposal_feature_channel=8)
    torch.nn.init.uniform_(head.init_proposal_bboxes.weight)
    arguments = (
        [torch.rand(1, 8, 4, 4)],
        [DetDataSample(metainfo={"img_shape": (60, 80)})],
    )
    [expected] = head._decode_init_proposals(*arguments)
    [found] = ours.decode_init_proposals(head, *arguments)
    for name in ("bboxes", "imgs_whwh", "features"):
        torch.testing.assert_close(found[name], expected[name])


def test_boxes_that_vote():
    from mmdet.models.dense_heads import PAAHead

    head = SimpleNamespace(cls_out_channels=3)
    every, scores = boxes(40), torch.rand(40, 3)
    best, labels = scores[:12].max(1)
    found_before = torch.cat([every[:12], best[:, None]], 1)
    arguments = found_before, labels, every, scores, 0.2
    voted, voted_labels = ours.score_voting(head, *arguments)
    expected, expected_labels = PAAHead.score_voting(head, *arguments)
    order = labels.argsort(stable=True)  # the original gives them class by class
    torch.testing.assert_close(voted[order], expected)
    assert torch.equal(voted_labels[order], expected_labels)
    assert (
        len(ours.score_voting(head, found_before[:0], labels[:0], *arguments[2:])[0])
        == 0
    )


def test_attention_of_a_sequence_to_itself():
    layer = torch.nn.MultiheadAttention(8, 2).eval()
    sequence = torch.rand(5, 1, 8)
    with torch.no_grad():
        expected, _ = layer(sequence, sequence, sequence, need_weights=False)
        with ours.stand_ins():
            found, _ = layer(sequence, sequence, sequence, need_weights=False)
    torch.testing.assert_close(found, expected)


def test_a_threshold_survives_a_copy_of_its_configuration():
    scores, threshold = torch.tensor([0.2, 0.5, 0.7]), torch.tensor(0.5)
    settings = copy.deepcopy({"score_thr": ours.Threshold(threshold)})
    assert settings["score_thr"].value is threshold
    assert (scores > settings["score_thr"]).tolist() == [False, False, True]
    assert (scores >= settings["score_thr"]).tolist() == [False, True, True]


def test_they_are_gone_afterwards():
    from mmdet.models.dense_heads import base_dense_head

    before = base_dense_head.batched_nms, vars(RTMDetInsHead).copy()
    with ours.stand_ins():
        assert base_dense_head.batched_nms is ours.batched_nms
    assert (base_dense_head.batched_nms, vars(RTMDetInsHead).copy()) == before
