"""Mixed precision on a CPU."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

from cvtk.engine.cpu_precision import CPUAmpOptimWrapper  # noqa: E402
from cvtk.engine.precision import short_floats  # noqa: E402


def test_losses_are_computed_with_16_bits_and_weights_kept_with_32():
    network = torch.nn.Conv2d(1, 2, 1)
    wrapper = CPUAmpOptimWrapper(
        dtype="bfloat16", optimizer=torch.optim.SGD(network.parameters(), lr=0.5)
    )
    before = network.bias.detach().clone()
    with wrapper.optim_context(network):
        found = network(torch.ones(1, 1, 2, 2))
        loss = found.mean()
    assert found.dtype == torch.bfloat16
    wrapper.update_params(loss)
    # The mean goes up by a half for each of the two filters.
    assert network.bias.dtype == torch.float32
    assert torch.allclose(network.bias, before - 0.5 * 0.5)


def test_outside_of_a_step_nothing_changes():
    network = torch.nn.Conv2d(1, 1, 1)
    CPUAmpOptimWrapper(optimizer=torch.optim.SGD(network.parameters(), lr=1))
    assert network(torch.ones(1, 1, 1, 1)).dtype == torch.float32


def test_apples_gpu_is_not_asked_for_16_bits():
    assert short_floats("mps") == ""
