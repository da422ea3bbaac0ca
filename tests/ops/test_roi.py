"""RoIAlign and RoIPool against loops over every bin and sample, forward and backward."""

import math

import pytest
import torch
import torchvision
from mmcv.ops import (
    RoIAlign,
    RoIPool,
    SimpleRoIAlign,
    point_sample,
    roi_align,
    roi_pool,
)

# batch index, x1, y1, x2, y2: ordinary, in the second image, beyond the border, thin, outside altogether
ROIS = torch.tensor(
    [
        [0, 1.3, 2.2, 9.1, 7.7],
        [1, 0.0, 0.0, 4.4, 12.6],
        [0, -3.0, -2.5, 5.2, 30.1],
        [1, 6.1, 2.0, 6.4, 9.9],
        [0, 40.0, 40.0, 50.0, 50.0],
    ],
    dtype=torch.float64,
)


def features(requires_grad=False):
    return torch.randn(2, 3, 9, 11, dtype=torch.float64, requires_grad=requires_grad)


def bilinear(plane, y, x):
    """Value between four cells; the border counts one cell beyond, then 0."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return plane.sum() * 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = y - y0, x - x0
    top = plane[y0, x0] * (1 - dx) + plane[y0, x1] * dx
    return top * (1 - dy) + (plane[y1, x0] * (1 - dx) + plane[y1, x1] * dx) * dy


def reference_roi_align(feats, rois, size, scale, ratio, mode, aligned):
    out = []
    for b, *box in rois.tolist():
        x1, y1, x2, y2 = (v * scale - (0.5 if aligned else 0) for v in box)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1), max(h, 1)
        bh, bw = h / size[0], w / size[1]
        gh, gw = (ratio, ratio) if ratio > 0 else (math.ceil(bh), math.ceil(bw))
        for plane in feats[int(b)]:
            for i in range(size[0]):
                for j in range(size[1]):
                    values = [
                        bilinear(
                            plane,
                            y1 + i * bh + (p + 0.5) * bh / gh,
                            x1 + j * bw + (q + 0.5) * bw / gw,
                        )
                        for p in range(gh)
                        for q in range(gw)
                    ]
                    values = torch.stack(values)
                    out.append(values.mean() if mode == "avg" else values.max())
    return torch.stack(out).view(len(rois), feats.size(1), *size)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize(("ratio", "scale"), [(0, 0.5), (0, 1.0), (2, 0.5)])
def test_roi_align(ratio, scale, mode, aligned):
    feats = features(requires_grad=True)
    result = roi_align(feats, ROIS, (2, 3), scale, ratio, mode, aligned)
    expected = reference_roi_align(feats, ROIS, (2, 3), scale, ratio, mode, aligned)
    assert torch.allclose(result, expected)
    weight = torch.randn_like(result)
    grads = [
        torch.autograd.grad((out * weight).sum(), feats)[0]
        for out in (result, expected)
    ]
    assert torch.allclose(*grads)


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_gradcheck(mode):
    feats = features(requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda f: roi_align(f, ROIS, (2, 2), 0.5, 0, mode, True), (feats,)
    )


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_without_rois_or_area(mode):
    feats = features(requires_grad=True)
    out = RoIAlign((2, 2), pool_mode=mode)(
        feats, torch.zeros(0, 5, dtype=torch.float64)
    )
    assert out.shape == (0, 3, 2, 2)
    point = torch.tensor([[0, 4.0, 4.0, 4.0, 4.0]], dtype=torch.float64)
    out = RoIAlign((2, 2), pool_mode=mode)(feats, point)  # no cell, no sample
    out.sum().backward()
    assert not out.any()
    assert not feats.grad.any()


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_in_parts(mode, monkeypatch):
    import cvtk.ops.roi
    import cvtk.ops.roi_average

    feats = features(requires_grad=True)

    def align():
        out = roi_align(feats, ROIS, (2, 2), 1.0, 2, mode, True)
        return out, torch.autograd.grad(out.square().sum(), feats)[0]

    whole = align()
    monkeypatch.setattr(cvtk.ops.roi, "_CHUNK", 1)
    monkeypatch.setattr(cvtk.ops.roi_average, "_CHUNK", 1)
    for part, expected in zip(align(), whole, strict=True):
        assert torch.allclose(part, expected)


def test_roi_align_is_torchvisions_to_rounding():
    torch.manual_seed(0)
    feats = torch.randn(2, 8, 40, 50, requires_grad=True)
    centres = torch.rand(200, 2) * torch.tensor([220.0, 180.0]) - 10
    half = torch.rand(200, 2) * 60
    image = torch.arange(200)[:, None] % 2
    rois = torch.cat([image, centres - half, centres + half], dim=1)
    ours = roi_align(feats, rois, (7, 7), 0.25, 0, "avg", True)
    theirs = torchvision.ops.roi_align(feats, rois, 7, 0.25, aligned=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    weight = torch.randn_like(ours)
    grads = [torch.autograd.grad((x * weight).sum(), feats) for x in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_roi_align_in_half_precision(dtype):
    feats = features()
    exact = roi_align(feats, ROIS, (2, 2), 0.5, 2, "avg", True)
    half = roi_align(feats.to(dtype), ROIS.to(dtype), (2, 2), 0.5, 2, "avg", True)
    assert half.dtype == dtype
    assert torch.allclose(half.double(), exact, atol=0.1)


def reference_roi_pool(feats, rois, size, scale):
    height, width = feats.shape[2:]
    out = []
    for b, x1, y1, x2, y2 in rois.tolist():
        x, y = x1 * scale, y1 * scale
        w, h = (x2 + 1) * scale - x, (y2 + 1) * scale - y
        for plane in feats[int(b)]:
            for i in range(size[0]):
                for j in range(size[1]):
                    top = min(max(math.floor(y + i * h / size[0]), 0), height)
                    bottom = min(max(math.ceil(y + (i + 1) * h / size[0]), 0), height)
                    left = min(max(math.floor(x + j * w / size[1]), 0), width)
                    right = min(max(math.ceil(x + (j + 1) * w / size[1]), 0), width)
                    cells = plane[top:bottom, left:right]
                    empty = cells.numel() == 0 or w <= 0 or h <= 0
                    out.append(plane.sum() * 0 if empty else cells.max())
    return torch.stack(out).view(len(rois), feats.size(1), *size)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3])
def test_roi_pool(scale):
    inverted = torch.tensor([[0, 8.0, 3.0, 2.0, 6.0]], dtype=torch.float64)
    rois = torch.cat([ROIS, inverted])
    feats = features(requires_grad=True)
    result = RoIPool((2, 3), scale)(feats, rois)
    expected = reference_roi_pool(feats, rois, (2, 3), scale)
    assert torch.equal(result, expected)
    weight = torch.randn_like(result)
    grads = [
        torch.autograd.grad((out * weight).sum(), feats)[0]
        for out in (result, expected)
    ]
    assert torch.allclose(*grads)


def test_roi_pool_gradcheck_and_no_rois():
    feats = features(requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: roi_pool(f, ROIS, (2, 2), 0.5), (feats,))
    assert roi_pool(feats, ROIS[:0], (2, 2), 0.5).shape == (0, 3, 2, 2)


def test_point_operators_import_and_sample():
    """These are PyTorch in mmcv itself; they come with mmcv.ops, which must import."""
    feats = torch.arange(12.0).view(1, 1, 3, 4)
    centre_of_cell = torch.tensor([[[2.5 / 4, 1.5 / 3]]])
    assert point_sample(feats, centre_of_cell).item() == feats[0, 0, 1, 2]
    # A region of 2 x 2 cells in 2 x 2 bins: each point is the centre of one cell.
    crop = SimpleRoIAlign((2, 2), spatial_scale=1.0)(
        feats, torch.tensor([[0, 1.0, 1, 3, 3]])
    )
    assert torch.allclose(crop, feats[:, :, 1:3, 1:3])
