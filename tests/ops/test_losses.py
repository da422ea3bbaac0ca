"""Focal losses against their formula, sample by sample, and against autograd."""

import pytest
import torch
from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss


def sigmoid_reference(x, target, gamma, alpha, weight):
    rows = []
    for row, t in zip(x, target.tolist(), strict=True):
        losses = []
        for c, logit in enumerate(row):
            p = 1 / (1 + torch.exp(-logit))
            loss = (
                -alpha * (1 - p) ** gamma * p.log()
                if c == t
                else -(1 - alpha) * p**gamma * (1 - p).log()
            )
            known = weight is not None and t < len(row)
            losses.append(loss * weight[t] if known else loss)
        rows.append(torch.stack(losses))
    return torch.stack(rows)


def softmax_reference(x, target, gamma, alpha, weight):
    losses = []
    for row, t in zip(x, target.tolist(), strict=True):
        p = (row.exp() / row.exp().sum())[t]
        loss = -alpha * (1 - p) ** gamma * p.log()
        losses.append(loss * weight[t] if weight is not None else loss)
    return torch.stack(losses)


def reduced(loss, reduction):
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / len(loss)}[reduction]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (0.5, 0.9)])
@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_focal_loss(kind, gamma, alpha, reduction, weighted):
    op, formula = {
        "sigmoid": (sigmoid_focal_loss, sigmoid_reference),
        "softmax": (softmax_focal_loss, softmax_reference),
    }[kind]
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    # 3 is background for the sigmoid; the softmax has no such class.
    target = torch.tensor([0, 1, 2, 2, 1, 3 if kind == "sigmoid" else 0])
    weight = torch.rand(3, dtype=torch.float64) if weighted else None
    result = op(x, target, gamma, alpha, weight, reduction)
    expected = reduced(formula(x, target, gamma, alpha, weight), reduction)
    assert torch.allclose(result, expected)
    if (
        reduction != "none"
    ):  # mmcv's softmax wrapper multiplies (N, C) by (N,) without reduction
        grads = [torch.autograd.grad(out, x)[0] for out in (result, expected)]
        assert torch.allclose(*grads)


@pytest.mark.parametrize("op", [sigmoid_focal_loss, softmax_focal_loss])
def test_gradcheck(op):
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 2, 1, 1, 0])
    assert torch.autograd.gradcheck(
        lambda x: op(x, target, 2.0, 0.25, None, "sum"), (x,)
    )


def test_large_logits_stay_exact():
    """log(1 - sigmoid(30)) is -30, not the logarithm of a rounded 0."""
    x = torch.tensor([[30.0, -30.0]], requires_grad=True)
    loss = sigmoid_focal_loss(x, torch.tensor([1]), 2.0, 0.25, None, "none")
    assert loss[0].tolist() == pytest.approx([0.75 * 30, 0.25 * 30], rel=1e-6)
    loss.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_softmax_of_a_certain_or_ignored_sample(gamma):
    x = torch.tensor([[200.0, 0.0], [1.0, 2.0]], requires_grad=True)
    loss = softmax_focal_loss(x, torch.tensor([0, -1]), gamma, 0.25, None, "sum")
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_no_samples():
    x = torch.zeros(0, 3, requires_grad=True)
    loss = sigmoid_focal_loss(
        x, torch.zeros(0, dtype=torch.long), 2.0, 0.25, None, "sum"
    )
    loss.backward()
    assert loss.item() == 0
