"""The runner of trainings: its optimizer has few groups, and takes the same steps."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.runner import TrainingRunner, merge_groups


def test_groups_with_the_same_settings_become_one():
    def weights_after_steps(change):
        torch.manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(3)) for _ in range(4)]
        decays = (0.05, 0.0, 0.05, 0.0)  # as of layers of normalization
        groups = [
            {"params": [weight], "weight_decay": decay}
            for weight, decay in zip(weights, decays, strict=True)
        ]
        optimizer = torch.optim.AdamW(groups, lr=0.1)
        change(optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            sum(weight.square().sum() for weight in weights).backward()
            optimizer.step()
        return torch.stack(weights), len(optimizer.param_groups)

    expected, each = weights_after_steps(lambda optimizer: None)
    found, merged = weights_after_steps(merge_groups)
    assert (each, merged) == (4, 2)
    assert torch.equal(found, expected)


def test_weights_with_decay_and_without_are_two_groups(built, tmp_path):
    cfg = built(image_size=64)
    cfg.work_dir = str(tmp_path)
    runner = TrainingRunner.from_cfg(cfg)
    optimizer = runner.build_optim_wrapper(runner.optim_wrapper).optimizer
    decays = sorted(group["weight_decay"] for group in optimizer.param_groups)
    assert decays == [0, 0.05]
    learned = sum(1 for weight in runner.model.parameters() if weight.requires_grad)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == learned
