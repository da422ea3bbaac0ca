"""What makes a training on a CPU faster changes its numbers in their last digits at most."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmdet.models.layers import ExpMomentumEMA

from cvtk.recipe.speed import speed_up_cpu


@pytest.fixture(autouse=True)
def _denormals_as_they_were():
    yield
    torch.set_flush_denormal(False)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 4, 3, stride=2),
    )


def training(update_buffers):
    """A network, its optimizer and its average, as MMEngine's runner has them."""
    model = network()
    average = ExpMomentumEMA(model, gamma=5, update_buffers=update_buffers)
    return SimpleNamespace(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.01),
        hooks=[SimpleNamespace(), SimpleNamespace(ema_model=average)],
    )


def step(runner, seed):
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    runner.optimizer.zero_grad()
    runner.model(images).square().mean().backward()
    runner.optimizer.step()
    runner.hooks[1].ema_model.update_parameters(runner.model)


def weights(runner):
    average = runner.hooks[1].ema_model.state_dict(prefix="average.")
    return {**runner.model.state_dict(), **average}


@pytest.mark.parametrize("update_buffers", [True, False])
def test_weights_and_their_average_are_the_same(update_buffers):
    plain, fast = training(update_buffers), training(update_buffers)
    speed_up_cpu(fast)
    for part in (fast.model, fast.hooks[1].ema_model.module):
        assert part[0].weight.is_contiguous(memory_format=torch.channels_last)
    for seed in range(4):
        step(plain, seed)
        step(fast, seed)
    expected, start = weights(plain), network().state_dict()
    for name in ("0.weight", "average.module.0.weight"):
        moved = expected[name] - start["0.weight"]
        assert moved.abs().mean() > 1e-3
    for name, value in weights(fast).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
