"""Deformable convolution against loops over every output cell and kernel tap."""

import math

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)


def sample(plane, y, x):
    """Bilinear, 0 outside."""
    y0, x0 = math.floor(y.item()), math.floor(x.item())
    value = 0
    for yy, wy in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
        for xx, wx in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
            if 0 <= yy < plane.size(0) and 0 <= xx < plane.size(1):
                value = value + wy * wx * plane[yy, xx]
    return value


def reference(
    x, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups
):
    n, channels = x.shape[:2]
    c_out, c_group, kh, kw = weight.shape
    h_out, w_out = offset.shape[2:]
    out = []
    for b in range(n):
        for o in range(c_out):
            group = o // (c_out // groups)
            for i in range(h_out):
                for j in range(w_out):
                    total = 0 if bias is None else bias[o]
                    for c in range(c_group):
                        channel = group * c_group + c
                        d = channel // (channels // deform_groups)
                        for p in range(kh):
                            for q in range(kw):
                                tap = (d * kh + p) * kw + q
                                y = (
                                    i * stride[0]
                                    - padding[0]
                                    + p * dilation[0]
                                    + offset[b, 2 * tap, i, j]
                                )
                                z = (
                                    j * stride[1]
                                    - padding[1]
                                    + q * dilation[1]
                                    + offset[b, 2 * tap + 1, i, j]
                                )
                                factor = weight[o, c, p, q]
                                if mask is not None:
                                    factor = factor * mask[b, tap, i, j]
                                total = total + factor * sample(x[b, channel], y, z)
                    out.append(torch.as_tensor(total, dtype=x.dtype))
    return torch.stack(out).view(n, c_out, h_out, w_out)


@pytest.fixture(params=["sampled", "torchvision"], autouse=True)
def path(request, monkeypatch):
    """The CPU samples in PyTorch, other devices use torchvision's kernels; these run on a CPU too."""
    from cvtk.ops import deform_kernel

    monkeypatch.setattr(
        deform_kernel, "sampled", lambda tensor: request.param == "sampled"
    )


CASES = [  # kernel, stride, padding, dilation, groups, deform_groups
    ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    ((3, 2), (2, 1), (1, 2), (1, 2), 2, 2),
]


def make(case, n=2, size=(5, 6)):
    kernel, stride, padding, dilation, groups, deform_groups = case
    out = [
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(size, padding, dilation, kernel, stride, strict=True)
    ]

    def leaf(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    x, weight, bias = leaf(n, 4, *size), leaf(2, 4 // groups, *kernel), leaf(2)
    taps = deform_groups * kernel[0] * kernel[1]
    return x, leaf(n, 2 * taps, *out), leaf(n, taps, *out), weight, bias


@pytest.mark.parametrize("case", CASES)
def test_deform_conv(case):
    x, offset, _, weight, _ = make(case, n=1)
    result = deform_conv2d(x, offset, weight, *case[1:], False, 32)
    expected = reference(x, offset, None, weight, None, *case[1:])
    assert torch.allclose(result, expected)
    grad = torch.randn_like(result)
    for got, want in zip(
        *[
            torch.autograd.grad(o, (x, offset, weight), grad)
            for o in (result, expected)
        ],
        strict=True,
    ):
        assert torch.allclose(got, want)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_modulated_deform_conv(case, with_bias):
    x, offset, mask, weight, bias = make(case, n=1)
    bias = bias if with_bias else None
    inputs = [t for t in (x, offset, mask, weight, bias) if t is not None]
    result = modulated_deform_conv2d(x, offset, mask, weight, bias, *case[1:])
    expected = reference(x, offset, mask, weight, bias, *case[1:])
    assert torch.allclose(result, expected)
    grad = torch.randn_like(result)
    for got, want in zip(
        *[torch.autograd.grad(o, inputs, grad) for o in (result, expected)], strict=True
    ):
        assert torch.allclose(got, want)


def test_gradcheck():
    case = ((2, 2), (1, 1), (0, 0), (1, 1), 1, 1)
    x, offset, mask, weight, bias = make(case, n=2, size=(3, 3))
    assert torch.autograd.gradcheck(
        lambda *t: deform_conv2d(*t, *case[1:], False, 1), (x, offset, weight)
    )
    assert torch.autograd.gradcheck(
        lambda *t: modulated_deform_conv2d(*t, *case[1:]),
        (x, offset, mask, weight, bias),
    )


def test_each_gradient_alone_and_twice():
    """The weight's gradient is kept between two calls of mmcv; it must not outlive its backward pass."""
    case = CASES[0]
    x, offset, _, weight, _ = make(case)
    out = deform_conv2d(x, offset, weight, *case[1:], False, 32)
    first, second = torch.randn_like(out), torch.randn_like(out)
    want = torch.autograd.grad(
        deform_conv2d(x, offset, weight, *case[1:], False, 32), weight, second
    )[0]
    torch.autograd.grad(out, x, first, retain_graph=True)
    assert torch.allclose(
        torch.autograd.grad(out, weight, second, retain_graph=True)[0], want
    )
    both = torch.autograd.grad(out, (x, weight), second, retain_graph=True)[1]
    assert torch.allclose(both, want)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_offsets_of_another_level(layout):
    """DyHead hands over the offsets of a larger map; mmcv reads as many numbers as it needs, in order."""
    case = CASES[0]
    x, offset, mask, weight, bias = make(case)
    larger = [
        torch.randn(*t.shape[:2], 10, 12, dtype=torch.float64)
        .contiguous(memory_format=layout)
        .requires_grad_()
        for t in (offset, mask)
    ]
    fitted = [
        t.reshape(2, -1)[:, : o[0].numel()].view_as(o)
        for t, o in zip(larger, (offset, mask), strict=True)
    ]
    result = modulated_deform_conv2d(x, *larger, weight, bias, *case[1:])
    expected = modulated_deform_conv2d(x, *fitted, weight, bias, *case[1:])
    assert torch.equal(result, expected)
    grads = [
        torch.autograd.grad(out.square().sum(), larger) for out in (result, expected)
    ]
    for got, want in zip(*grads, strict=True):
        assert torch.allclose(got, want)
    with pytest.raises(ValueError, match=r"of \(5, 6\) for an output of \(10, 12\)"):
        modulated_deform_conv2d(
            torch.randn(2, 4, 10, 12).double(), offset, mask, weight, bias, *case[1:]
        )


@pytest.mark.parametrize("pack", [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_packs_start_as_a_convolution(pack):
    """Their offsets start at 0 (and the mask at a half), where both are an ordinary convolution."""
    layer = pack(4, 6, 3, padding=1, bias=False)
    x = torch.randn(2, 4, 7, 8)
    factor = 0.5 if pack is ModulatedDeformConv2dPack else 1.0
    expected = torch.nn.functional.conv2d(x, layer.weight, padding=1) * factor
    assert torch.allclose(layer(x), expected, atol=1e-5)
    layer(x).sum().backward()
    assert layer.conv_offset.weight.grad.abs().sum() > 0


def test_image_smaller_than_the_kernel_and_half_precision():
    layer = DeformConv2d(1, 1, 3)
    assert layer(torch.randn(1, 1, 2, 5), torch.zeros(1, 18, 0, 3)).shape == (
        1,
        1,
        0,
        3,
    )
    x, offset, _, weight, _ = make(CASES[0])
    exact = deform_conv2d(x, offset, weight, 1, 1)
    half = deform_conv2d(x.bfloat16(), offset.bfloat16(), weight.bfloat16(), 1, 1)
    assert half.dtype == torch.bfloat16
    assert (half.double() - exact).abs().mean() < 0.05 * exact.abs().mean()
