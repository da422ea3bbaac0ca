"""What MMDetection's parts lack."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mmdet")

from cvtk.engine.corrections import correct_heads  # noqa: E402


@pytest.fixture
def head():
    """The head of an SSD for two classes, with one feature map of 4 channels."""
    from mmdet.models.dense_heads import SSDHead
    from mmengine.config import ConfigDict

    anchors = {
        "type": "SSDAnchorGenerator",
        "scale_major": False,
        "strides": [16],
        "ratios": [[2]],
        "min_sizes": [16],
        "max_sizes": [32],
    }
    torch.manual_seed(0)
    config = {"nms": {"type": "nms", "iou_threshold": 0.5}, "min_bbox_size": 0}
    config |= {"score_thr": 0.0, "nms_pre": 100, "max_per_img": 100}
    return SSDHead(
        num_classes=2,
        in_channels=(4,),
        anchor_generator=anchors,
        test_cfg=ConfigDict(config),
    )


def test_ssd_predicts(head):
    correct_heads(head)
    features = [torch.rand(1, 4, 2, 2)]
    scores, boxes = head(features)
    info = {"img_shape": (32, 32), "scale_factor": (1.0, 1.0)}
    (found,) = head.predict_by_feat(scores, boxes, batch_img_metas=[info])
    # Each cell has 4 anchors with the scores of two classes and, last, of nothing.
    likely = scores[0][0].permute(1, 2, 0).reshape(-1, 3).softmax(-1)
    assert found.scores[0] == pytest.approx(float(likely[:, :2].max().detach()))


def test_other_parts_stay_as_they_are():
    network = torch.nn.Conv2d(1, 1, 1)
    correct_heads(network)
    assert not hasattr(network, "loss_cls")
