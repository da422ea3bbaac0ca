"""From a configuration to weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TextIO

from cvtk.engine.progress import show_progress
from cvtk.plots import write_stats


def run_training(cfg: Any, output: Path, device: str, console: TextIO) -> None:
    """Trains; leaves the weights, their configuration, the statistics and plots."""
    import torch
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    workspace, runner, bar = Path(cfg.work_dir), Runner.from_cfg(cfg), Hook()
    bar.after_train_iter = functools.partial(show_progress, console)
    after_epoch = "after_val_epoch" if runner.val_loop else "after_train_epoch"
    setattr(bar, after_epoch, bar.after_train_iter)
    runner.register_hook(bar, "LOW")  # after MMEngine has noted its numbers
    runner.model = runner.model.to(device)
    if device == "cpu":  # a third faster: no denormal numbers, channels innermost
        torch.set_flush_denormal(True)
        for part in runner.model.modules():
            if type(part) is torch.nn.Conv2d:
                part.to(memory_format=torch.channels_last)
    runner.train()
    log = Path(runner.log_dir, "vis_data", "scalars.json")
    kinds = cfg.test_evaluator.metric
    write_stats(log, f"{workspace}.train_stats", kinds)
    cfg.dump(output.with_suffix(".py"))
    # MMEngine's copies of the last and the best epoch: NAME-8 characters.pth
    published = workspace.glob("*-????????.pth")
    best = max(published, key=lambda p: (p.name[:4] == "best", p.stat().st_mtime))
    best.replace(output)
    for other in workspace.glob("*-????????.pth"):
        other.unlink()
