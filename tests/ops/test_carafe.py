"""CARAFE against loops over every cell and tap."""

import pytest
import torch
from mmcv import _ext
from mmcv.ops import CARAFEPack, carafe, carafe_naive


def reference(features, masks, k, groups, s):
    n, channels, h, w = features.shape
    out = features.new_zeros(n, channels, h * s, w * s)
    r = k // 2
    for b in range(n):
        for c in range(channels):
            g = c // (channels // groups)
            for y in range(h * s):
                for x in range(w * s):
                    for i in range(k):
                        for j in range(k):
                            yy, xx = y // s + i - r, x // s + j - r
                            if 0 <= yy < h and 0 <= xx < w:
                                tap = (g * k + i) * k + j
                                out[b, c, y, x] += (
                                    features[b, c, yy, xx] * masks[b, tap, y, x]
                                )
    return out


def make(k, groups, s, channels=4, size=(3, 2)):
    features = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    masks = torch.rand(
        2,
        groups * k * k,
        size[0] * s,
        size[1] * s,
        dtype=torch.float64,
        requires_grad=True,
    )
    return features, masks


@pytest.mark.parametrize(
    ("k", "groups", "s"), [(3, 1, 2), (3, 2, 2), (5, 4, 1), (1, 1, 3)]
)
def test_carafe(k, groups, s):
    features, masks = make(k, groups, s)
    expected = reference(features, masks, k, groups, s)
    result = carafe(features, masks, k, groups, s)
    assert torch.allclose(result, expected)
    assert torch.allclose(carafe_naive(features, masks, k, groups, s), expected)
    grad = torch.randn_like(expected)
    want = torch.autograd.grad(expected, (features, masks), grad)
    got = torch.autograd.grad(result, (features, masks), grad)
    # mmcv's own wrapper refuses the backward pass of carafe_naive on a CPU, so the operator is called.
    naive = [torch.zeros_like(features), torch.zeros_like(masks)]
    _ext.carafe_naive_backward(
        grad,
        features.detach(),
        masks.detach(),
        *naive,
        kernel_size=k,
        group_size=groups,
        scale_factor=s,
    )
    for a, b, c in zip(want, got, naive, strict=True):
        assert torch.allclose(b, a)
        assert torch.allclose(c, a)


def test_gradcheck():
    inputs = make(3, 2, 2, size=(2, 2))
    assert torch.autograd.gradcheck(lambda f, m: carafe(f, m, 3, 2, 2), inputs)


def test_pack_enlarges_and_learns():
    layer = CARAFEPack(8, 2)
    x = torch.ones(1, 8, 6, 6)
    out = layer(x)
    assert out.shape == (1, 8, 12, 12)
    # The weights of a cell sum to one, so far from the border a constant stays.
    assert torch.allclose(out[:, :, 4:8, 4:8], torch.ones(1, 8, 4, 4), atol=1e-5)
    out.sum().backward()
    assert layer.content_encoder.weight.grad is not None
