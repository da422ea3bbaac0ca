"""Multi-scale deformable attention against loops over queries, heads, levels and points."""

import math

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

SHAPES = [(4, 5), (2, 3)]


def reference(value, locations, weights):
    n, _, heads, channels = value.shape
    queries = locations.size(1)
    rows = []
    for b in range(n):
        for q in range(queries):
            for m in range(heads):
                total = value.new_zeros(channels)
                start = 0
                for level, (h, w) in enumerate(SHAPES):
                    cells = value[b, start : start + h * w, m].view(h, w, channels)
                    start += h * w
                    for p in range(locations.size(4)):
                        x = locations[b, q, m, level, p, 0] * w - 0.5
                        y = locations[b, q, m, level, p, 1] * h - 0.5
                        y0, x0 = math.floor(y.item()), math.floor(x.item())
                        for yy, wy in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
                            for xx, wx in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
                                if 0 <= yy < h and 0 <= xx < w:
                                    total = (
                                        total
                                        + weights[b, q, m, level, p]
                                        * wy
                                        * wx
                                        * cells[yy, xx]
                                    )
                rows.append(total)
    return torch.stack(rows).view(n, queries, heads * channels)


def make():
    value = torch.randn(
        2, sum(h * w for h, w in SHAPES), 2, 3, dtype=torch.float64, requires_grad=True
    )
    # Some points lie outside the image.
    locations = (
        torch.rand(2, 3, 2, 2, 2, 2, dtype=torch.float64) * 1.4 - 0.2
    ).requires_grad_()
    weights = torch.rand(2, 3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    shapes = torch.tensor(SHAPES)
    starts = torch.tensor([0, SHAPES[0][0] * SHAPES[0][1]])
    return value, shapes, starts, locations, weights


def test_forward_and_backward():
    value, shapes, starts, locations, weights = make()
    result = MultiScaleDeformableAttnFunction.apply(
        value, shapes, starts, locations, weights, 64
    )
    expected = reference(value, locations, weights)
    assert torch.allclose(result, expected)
    grad = torch.randn_like(result)
    leaves = (value, locations, weights)
    for got, want in zip(
        *[torch.autograd.grad(out, leaves, grad) for out in (result, expected)],
        strict=True,
    ):
        assert torch.allclose(got, want)


def test_gradcheck():
    value, shapes, starts, locations, weights = make()
    assert torch.autograd.gradcheck(
        lambda v, x, w: MultiScaleDeformableAttnFunction.apply(
            v, shapes, starts, x, w, 64
        ),
        (value, locations, weights),
    )


def test_module_runs():
    module = MultiScaleDeformableAttention(
        embed_dims=8, num_heads=2, num_levels=2, num_points=2, batch_first=True
    )
    query, value = torch.randn(1, 3, 8), torch.randn(1, 26, 8)
    out = module(
        query,
        value=value,
        reference_points=torch.rand(1, 3, 2, 2),
        spatial_shapes=torch.tensor(SHAPES),
        level_start_index=torch.tensor([0, 20]),
    )
    assert out.shape == (1, 3, 8)
    assert out.isfinite().all()
