"""The largest batch that fits the GPU."""

from __future__ import annotations

import copy
from typing import Any

from cvtk.recipe.start import set_start

SHARE_OF_MEMORY = 0.85  # of the GPU; the rest is for images with many objects
STEPS_PER_EPOCH = 10  # at least, or nothing is learned


def largest_batch(cfg: Any) -> int:
    """The largest batch for the GPU, from the memory that two small ones take.

    Args:
        cfg: The complete configuration, for any batch.
    """
    import torch

    small, images = _peak_memory(cfg, 2)
    larger, _ = _peak_memory(cfg, 4)
    per_image = max(1, (larger - small) / 2)
    room = SHARE_OF_MEMORY * torch.cuda.mem_get_info()[1] - small
    batch = min(2 + int(room / per_image), images // STEPS_PER_EPOCH)
    return max(1, batch)


def _peak_memory(cfg: Any, batch: int) -> tuple[int, int]:
    """The memory in bytes that two steps take, and how many images there are."""
    import torch

    from cvtk.engine.runner import TrainingRunner

    trial = copy.deepcopy(cfg)
    trial.train_dataloader.batch_size = batch
    trial.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 2}
    trial.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    trial.update(param_scheduler=None, custom_hooks=None, resume=False)
    trial.default_hooks.checkpoint = None
    set_start(trial.model, "coco")  # nothing is downloaded for a trial
    torch.cuda.reset_peak_memory_stats()
    runner = TrainingRunner.from_cfg(trial)
    runner.train()
    return torch.cuda.max_memory_allocated(), len(runner.train_dataloader.dataset)
