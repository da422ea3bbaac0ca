"""NMS against direct transcriptions in plain Python."""

import math

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms, nms, nms_match, soft_nms


def random_boxes(n, size=100.0):
    corner = torch.rand(n, 2) * size
    return torch.cat([corner, corner + 5 + torch.rand(n, 2) * size / 2], dim=1)


def iou(a, b, offset=0):
    w = min(a[2], b[2]) - max(a[0], b[0]) + offset
    h = min(a[3], b[3]) - max(a[1], b[1]) + offset
    inter = max(w, 0) * max(h, 0)
    area = [(x[2] - x[0] + offset) * (x[3] - x[1] + offset) for x in (a, b)]
    union = sum(area) - inter
    return inter / union if union else 0.0


def reference_nms(boxes, scores, threshold, offset=0):
    boxes, scores = boxes.double().tolist(), scores.double().tolist()
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def reference_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset=0):
    """The paper's pseudo code; returns [(index, score)]."""
    boxes, left = boxes.double().tolist(), list(enumerate(scores.double().tolist()))
    kept = []
    while left:
        best = max(left, key=lambda pair: pair[1])
        left.remove(best)
        kept.append(best)
        lowered = []
        for i, score in left:
            overlap = iou(boxes[best[0]], boxes[i], offset)
            if method == "gaussian":
                score *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                score *= 1 - overlap if method == "linear" else 0
            if score >= min_score:
                lowered.append((i, score))
        left = lowered
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_nms_keeps_what_the_definition_keeps(threshold, offset):
    boxes, scores = random_boxes(80), torch.rand(80)
    dets, kept = nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == reference_nms(boxes, scores, threshold, offset)
    assert torch.equal(dets, torch.cat([boxes[kept], scores[kept, None]], dim=1))


def test_nms_offset_decides():
    # 10 x 10 against 10 x 5: IoU 0.5; with inclusive borders 11 x 11 against 11 x 6: 6 / 11.
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.52, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.52, offset=1)[1].tolist() == [0]
    # A point has no area without the offset, and is a pixel with it.
    points = torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 3]])
    assert nms(points, scores, 0.5, offset=0)[1].tolist() == [0, 1]
    assert nms(points, scores, 0.5, offset=1)[1].tolist() == [0]


def test_nms_at_the_threshold_keeps():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0, 1]


def test_nms_of_nothing_and_of_ties():
    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.long
    same = torch.tensor([[0.0, 0, 9, 9]]).repeat(4, 1)
    assert nms(same, torch.full((4,), 0.5), 0.5)[1].tolist() == [0]


def test_nms_score_threshold_and_max_num():
    boxes, scores = random_boxes(60), torch.rand(60)
    expected = [i for i in reference_nms(boxes, scores, 0.5) if scores[i] > 0.4]
    assert nms(boxes, scores, 0.5, score_threshold=0.4)[1].tolist() == expected
    assert (
        nms(boxes, scores, 0.5, score_threshold=0.4, max_num=3)[1].tolist()
        == expected[:3]
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_nms_takes_other_types(dtype):
    boxes = torch.tensor([[0, 0, 8, 8], [0, 0, 8, 7], [20, 20, 30, 30]], dtype=dtype)
    scores = torch.tensor([0.5, 0.75, 0.25], dtype=dtype)
    assert nms(boxes, scores, 0.5)[1].tolist() == [1, 2]


def test_nms_takes_numpy():
    boxes, scores = random_boxes(20), torch.rand(20)
    dets, kept = nms(boxes.numpy(), scores.numpy(), 0.5)
    assert isinstance(dets, np.ndarray)
    assert kept.tolist() == reference_nms(boxes, scores, 0.5)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_lowers_scores_as_the_paper_says(method, offset):
    boxes, scores = random_boxes(60), torch.rand(60)
    dets, kept = soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    expected = reference_soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == [i for i, _ in expected]
    assert dets[:, 4].tolist() == pytest.approx([s for _, s in expected], rel=1e-4)
    assert torch.equal(dets[:, :4], boxes[kept])


def test_soft_nms_example_of_mmcv():
    """The documented example: five of six boxes stay."""
    boxes = np.array(
        [
            [4, 3, 5, 3],
            [4, 3, 5, 4],
            [3, 1, 3, 1],
            [3, 1, 3, 1],
            [3, 1, 3, 1],
            [3, 1, 3, 1],
        ],
        dtype=np.float32,
    )
    scores = np.array([0.9, 0.9, 0.5, 0.5, 0.4, 0.0], dtype=np.float32)
    dets, kept = soft_nms(boxes, scores, 0.6, sigma=0.5)
    assert len(dets) == len(kept) == 5
    assert 5 not in kept


def test_soft_nms_edges():
    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert len(kept) == 0
    # The best box stays even below the smallest score; boxes and scores may need gradients.
    boxes = random_boxes(3).requires_grad_()
    dets, kept = soft_nms(
        boxes, torch.tensor([1e-5, 1e-4, 1e-6], requires_grad=True), min_score=0.1
    )
    assert kept.tolist() == [1]


def test_nms_match_groups():
    boxes, scores = random_boxes(40, size=40.0), torch.rand(40)
    groups = [
        g.tolist() for g in nms_match(torch.cat([boxes, scores[:, None]], 1), 0.3)
    ]
    left = sorted(range(40), key=lambda i: -scores[i])
    expected = []
    while left:
        first = left[0]
        near = [
            i for i in left[1:] if iou(boxes[first].tolist(), boxes[i].tolist()) >= 0.3
        ]
        expected.append([first, *near])
        left = [i for i in left[1:] if i not in near]
    assert groups == expected
    assert nms_match(torch.zeros(0, 5), 0.3) == []


@pytest.mark.parametrize("kind", ["nms", "soft_nms"])
@pytest.mark.parametrize("split_thr", [10000, 1])
def test_batched_nms_separates_classes(kind, split_thr):
    boxes, scores, classes = (
        random_boxes(40),
        torch.rand(40),
        torch.randint(0, 3, (40,)),
    )
    cfg = {"type": kind, "iou_threshold": 0.3, "split_thr": split_thr}
    dets, kept = batched_nms(boxes, scores, classes, cfg)
    if kind == "nms":
        expected = set()
        for c in range(3):
            own = (classes == c).nonzero()[:, 0]
            expected |= {
                int(own[i]) for i in reference_nms(boxes[own], scores[own], 0.3)
            }
        assert set(kept.tolist()) == expected
    assert (dets[:-1, 4] >= dets[1:, 4]).all()
    assert torch.equal(dets[:, :4], boxes[kept])
