"""A network in the form in which it is exported."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from cvtk.engine.export.network import ExportedNetwork
from cvtk.errors import ModelError
from cvtk.exported.description import ImageForm


class Detector(nn.Module):
    """Finds two objects in whatever it is shown; like DETR it has no threshold of scores."""

    data_preprocessor = SimpleNamespace(
        _channel_conversion=True, _enable_normalize=False, pad_size_divisor=1
    )

    def predict(self, picture, samples, rescale):
        found = InstanceData(
            bboxes=torch.tensor([[0.0, 0, 2, 2], [1, 1, 4, 4]]),
            scores=torch.tensor([0.9, 0.1]),
            labels=torch.tensor([0, 1]),
        )
        return [DetDataSample(pred_instances=found)]


@pytest.mark.parametrize(("score", "labels"), [(0, [0, 1]), (0.5, [0]), (0.95, [])])
def test_a_network_without_a_threshold_heeds_the_score(score, labels):
    network = ExportedNetwork(Detector(), ImageForm((4, 4), False), with_masks=False)
    image = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    boxes, scores, found = network(image, torch.tensor(float(score)))
    assert found.tolist() == labels
    assert len(boxes) == len(scores) == len(labels)


def test_what_cannot_be_recorded_is_told():
    class GuidedAnchorHead(nn.Module):
        """As MMDetection has it."""

    class GARetinaHead(GuidedAnchorHead):
        """One of those made of it."""

    detector = Detector()
    detector.bbox_head = GARetinaHead()
    with pytest.raises(ModelError, match=r"It chooses the places .* cannot record\.$"):
        ExportedNetwork(detector, ImageForm((4, 4), False), with_masks=False)
