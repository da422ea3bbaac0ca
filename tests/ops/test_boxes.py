"""Box overlaps against the definition, pair by pair."""

import pytest
import torch
from mmcv.ops import bbox_overlaps


def overlap(a, b, mode, offset):
    w = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
    area_a = (a[2] - a[0] + offset) * (a[3] - a[1] + offset)
    area_b = (b[2] - b[0] + offset) * (b[3] - b[1] + offset)
    return w * h / (area_a + area_b - w * h if mode == "iou" else area_a)


def random_boxes(n):
    corner = torch.rand(n, 2, dtype=torch.float64) * 10
    return torch.cat(
        [corner, corner + 1 + torch.rand(n, 2, dtype=torch.float64) * 5], dim=1
    )


@pytest.mark.parametrize("mode", ["iou", "iof"])
@pytest.mark.parametrize("offset", [0, 1])
def test_every_pair(mode, offset):
    one, two = random_boxes(7), random_boxes(5)
    expected = [
        [overlap(a, b, mode, offset) for b in two.tolist()] for a in one.tolist()
    ]
    assert torch.allclose(
        bbox_overlaps(one, two, mode, offset=offset), torch.tensor(expected).double()
    )
    aligned = bbox_overlaps(one[:5], two, mode, aligned=True, offset=offset)
    assert aligned.tolist() == pytest.approx([expected[i][i] for i in range(5)])


def test_edges():
    empty = torch.zeros(0, 4)
    box = torch.tensor([[0.0, 0, 10, 9]])
    assert bbox_overlaps(empty, box).shape == (0, 1)
    assert bbox_overlaps(box, empty).shape == (1, 0)
    point = torch.tensor([[3.0, 3, 3, 3]])
    assert bbox_overlaps(point, point).item() == 0
    assert bbox_overlaps(point, point, offset=1).item() == 1
    assert (
        bbox_overlaps(box, torch.tensor([[10.0, 9, 20, 20]])).item() == 0
    )  # only a corner in common
