"""What stands for functions of mask heads while a network is traced gives what they give, and takes no object too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.export import mask_heads as ours


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_convolutions_of_each_object():
    from mmdet.models.dense_heads import CondInstMaskHead

    head = SimpleNamespace(in_channels=8)
    objects, inputs = 3, 10
    weights = [torch.randn(objects * 8, inputs, 1, 1), torch.randn(objects, 8, 1, 1)]
    biases = [torch.randn(objects * 8), torch.randn(objects)]
    features = torch.rand(1, objects * inputs, 5, 6)
    arguments = features, weights, biases, objects
    expected = CondInstMaskHead.dynamic_conv_forward(head, *arguments)
    found = ours.convolve_each(head, *arguments)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_layers_of_each_object():
    from mmdet.models.dense_heads import CondInstMaskHead

    # Of ten features: eight, and from these the mask.
    head = SimpleNamespace(
        in_channels=8, num_layers=2, weight_nums=[80, 8], bias_nums=[8, 1]
    )
    params = torch.randn(3, 97)
    expected = CondInstMaskHead.parse_dynamic_params(head, params)
    found = ours.parse_dynamic_params(head, params)
    for one, other in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        assert torch.equal(one, other)
    weights, _ = ours.parse_dynamic_params(head, params[:0])
    assert [weight.shape[:2] for weight in weights] == [(0, 10), (0, 8)]


def test_masks_in_their_boxes():
    from mmdet.models.dense_heads import YOLACTProtonet

    head = SimpleNamespace(sanitize_coordinates=None)
    for name in ("crop_single", "sanitize_coordinates"):
        setattr(head, name, getattr(YOLACTProtonet, name).__get__(head))
    corners = torch.rand(4, 2) * 100
    boxes = torch.cat([corners, corners + torch.rand(4, 2) * 40], 1)
    masks, found = torch.rand(14, 14, 4), SimpleNamespace(bboxes=boxes)
    arguments = [masks], [{"img_shape": (100, 140)}], [found]
    [expected] = YOLACTProtonet.crop_mask_preds(head, *arguments)
    assert torch.equal(ours.crop_to_boxes(head, *arguments)[0], expected)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_regions_with_the_features_of_their_picture(count):
    """As SCNet adds them; recorded with three regions, it takes any number."""
    from mmdet.models.roi_heads import SCNetRoIHead

    def add(features, rois):
        return ours.add_context(None, features, context, rois)

    def inputs(regions):
        return torch.rand(regions, 8, 7, 7), torch.zeros(regions, 5)

    context = torch.rand(1, 8, 1, 1)
    traced = torch.jit.trace(add, inputs(3))
    features, rois = inputs(count)
    expected = SCNetRoIHead._fuse_glbctx(None, features, context, rois)
    torch.testing.assert_close(traced(features, rois), expected)
