"""The largest batch that fits the GPU."""

from __future__ import annotations

import copy
from typing import Any


def fit_batch(cfg: Any) -> int:
    """The largest batch for the GPU, from the memory that two small ones take."""
    import torch
    from mmengine.runner import Runner

    peaks: list[int] = []
    for batch in (2, 4):
        trial = copy.deepcopy(cfg)
        trial.train_dataloader.batch_size = batch
        trial.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 2}
        trial.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
        trial.update(param_scheduler=None, custom_hooks=None, resume=False)
        trial.default_hooks.checkpoint = None
        torch.cuda.reset_peak_memory_stats()
        runner = Runner.from_cfg(trial)
        runner.train()
        peaks.append(torch.cuda.max_memory_allocated())
    room = 0.85 * torch.cuda.mem_get_info()[1] - peaks[0]
    most = 2 + int(room / max(1, (peaks[1] - peaks[0]) / 2))
    # an epoch keeps ten steps
    return max(1, min(most, len(runner.train_dataloader.dataset) // 10))
