"""What stands for operators in exported files gives what they give."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmcv.ops", reason="needs MMCV and its operators")

import mmcv.ops
import torch
from torchvision.ops import deform_conv2d

from cvtk.engine.export import operators as ours


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "deform_groups"),
    [
        ((3, 3), 1, 1, 1, 1, 1),
        ((3, 3), 2, 1, 1, 1, 4),
        ((3, 1), (1, 2), (2, 0), (2, 1), 2, 2),
        ((1, 1), 1, 0, 1, 8, 8),
    ],
    ids=["plain", "strided", "oblong", "of one cell"],
)
def test_deformable_convolution(
    kernel, stride, padding, dilation, groups, deform_groups, modulated
):
    features, weight = torch.rand(2, 8, 9, 7), torch.randn(16, 8 // groups, *kernel)
    geometry = stride, padding, dilation
    # As large as that of the plain convolution.
    like = torch.nn.functional.conv2d(features, weight, None, *geometry, groups)
    (height, width), cells = like.shape[-2:], kernel[0] * kernel[1] * deform_groups
    # Far enough that some lie outside.
    offset = torch.randn(2, cells * 2, height, width) * 4
    mask = torch.rand(2, cells, height, width) if modulated else None
    bias = torch.randn(16) if modulated else None
    expected = deform_conv2d(features, offset, weight, bias, *geometry, mask)
    groups_of_channels = *geometry, groups, deform_groups
    if modulated:
        inputs = features, offset, mask, weight, bias
        found = ours.modulated_deform_conv2d(*inputs, *groups_of_channels)
    else:
        found = ours.deform_conv2d(features, offset, weight, *groups_of_channels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_deformable_convolution_with_the_offsets_of_a_larger_map():
    """As DyHead does it."""
    features, weight = torch.rand(2, 8, 4, 5), torch.randn(16, 8, 3, 3)
    offset, mask = torch.randn(2, 18, 8, 10), torch.rand(2, 9, 8, 10)
    inputs = features, offset, mask, weight, None, 1, 1, 1, 1, 1
    expected = mmcv.ops.modulated_deform_conv2d(*inputs)
    found = ours.modulated_deform_conv2d(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel", "groups", "scale"), [(5, 1, 2), (3, 2, 3)])
def test_carafe(kernel, groups, scale):
    features = torch.rand(2, 6, 4, 5)
    masks = torch.rand(2, groups * kernel**2, 4 * scale, 5 * scale)
    arguments = features, masks, kernel, groups, scale
    expected = mmcv.ops.carafe(*arguments)
    torch.testing.assert_close(ours.carafe(*arguments), expected, rtol=1e-4, atol=1e-5)


def test_the_weights_of_carafe():
    layer = mmcv.ops.CARAFEPack(6, scale_factor=2, up_kernel=3, up_group=2)
    mask = torch.randn(2, 2 * 9 * 4, 4, 5)
    expected = layer.kernel_normalizer(mask)
    torch.testing.assert_close(ours.kernel_normalizer(layer, mask), expected)
    assert ours.kernel_normalizer(layer, mask[:0]).shape == (0, *expected.shape[1:])


@pytest.mark.parametrize("size", [(), (5,), (4, 7)], ids=str)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_group_normalization(count, size):
    """Recorded with three regions, it takes any number."""
    layer = torch.nn.GroupNorm(4, 8).requires_grad_(False)
    for values in (layer.weight, layer.bias):
        torch.nn.init.uniform_(values)

    def normalized(features):
        return ours.group_norm(features, 4, layer.weight, layer.bias, layer.eps)

    traced = torch.jit.trace(normalized, torch.rand(3, 8, *size))
    features = torch.rand(count, 8, *size)
    torch.testing.assert_close(traced(features), layer(features))


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (7, 9), (16, 10)], ids=str)
def test_the_largest_of_windows(size):
    """As Libra R-CNN takes them; recorded at one size, it takes others."""

    def halved(features):
        height, width = ((side + 1) // 2 for side in features.shape[-2:])
        return ours.adaptive_max_pool2d(features, (height, width))

    traced = torch.jit.trace(halved, torch.rand(1, 3, 6, 5))
    features = torch.rand(1, 3, *size)
    wanted = [(side + 1) // 2 for side in size]
    expected = torch.nn.functional.adaptive_max_pool2d(features, wanted)
    assert torch.equal(traced(features), expected)
