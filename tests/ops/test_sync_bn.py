"""Synchronised batch normalisation on one process against PyTorch's batch normalisation."""

import pytest
import torch
import torch.distributed as dist
from mmcv.ops import SyncBatchNorm


@pytest.fixture
def process_group(tmp_path):
    """mmcv's layer asks for the number of processes, so there must be a group, be it of one."""
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("stats_mode", ["default", "N"])
def test_one_process_is_batch_norm(process_group, stats_mode):
    ours, torchs = SyncBatchNorm(5, stats_mode=stats_mode), torch.nn.BatchNorm2d(5)
    torchs.load_state_dict(ours.state_dict())
    for _ in range(2):
        x = torch.randn(3, 5, 4, 6) * 3 + 1
        grad = torch.randn_like(x)
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [layer(t) for layer, t in zip((ours, torchs), inputs, strict=True)]
        assert torch.allclose(*outputs, atol=1e-5)
        for layer, out in zip((ours, torchs), outputs, strict=True):
            layer.zero_grad()
            out.backward(grad)
        assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-5)
        assert torch.allclose(
            ours.weight.grad, torchs.weight.grad, rtol=1e-4, atol=1e-4
        )
        assert torch.allclose(ours.bias.grad, torchs.bias.grad, rtol=1e-4, atol=1e-4)
    assert torch.allclose(ours.running_mean, torchs.running_mean, atol=1e-6)
    assert torch.allclose(ours.running_var, torchs.running_var, atol=1e-5)
    assert torch.allclose(ours.eval()(x), torchs.eval()(x), atol=1e-5)


def test_empty_batch_and_single_value(process_group):
    layer = SyncBatchNorm(2, stats_mode="N")
    before = layer.running_mean.clone()
    assert layer(torch.zeros(0, 2, 3, 3)).shape == (0, 2, 3, 3)
    assert torch.equal(layer.running_mean, before)
    assert (
        layer(torch.randn(1, 2, 1, 1)).isfinite().all()
    )  # no unbiased variance of one value
    assert layer.running_var.isfinite().all()
