"""The processes of a training: those that torchrun or srun has started, and workers that load images."""

from __future__ import annotations

import contextlib
import datetime
import gc
import os
from collections.abc import Iterator
from typing import Any

from cvtk.errors import ModelError


def several_started() -> bool:
    """Whether torchrun or srun has started more processes than this one."""
    by_torchrun = int(os.environ.get("WORLD_SIZE", 1)) > 1
    return by_torchrun or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def join_processes(device: str) -> str:
    """Joins the processes that torchrun or srun has started; each one's own device."""
    import torch
    from mmengine import dist

    torchrun = "LOCAL_RANK" in os.environ
    srun = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and not torchrun
    if not (torchrun or srun) or dist.is_distributed():
        return device
    if srun and device == "cpu":
        raise ModelError("Several tasks of srun need GPUs; on a CPU, use torchrun.")
    wait = datetime.timedelta(hours=2)  # while the first process prepares the data
    if device == "cpu":
        torch.distributed.init_process_group("gloo", timeout=wait)
        return device
    dist.init_dist("slurm" if srun else "pytorch", timeout=wait)
    return "cuda"


@contextlib.contextmanager
def spared_by_garbage_collection() -> Iterator[None]:
    """Python's garbage collector passes over all that is there already, until the block is left.

    MMEngine lets it search with every data set: a fifth of a second for all that PyTorch and MMDetection are. And
    workers, which are forks, would get copies of the memory that the search touches (see `gc.freeze`). A program that
    has frozen objects itself is left as it is.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def end_workers(runner: Any) -> None:
    """Ends the processes that read images for MMEngine's runner, however its training ended.

    Left to Python's garbage collector, each would take five seconds: it closes the queue to a worker before the worker
    is told to end.
    """
    # A part of these may not be built yet.
    for loop in (runner._train_loop, runner._val_loop):
        loader = getattr(loop, "dataloader", None)
        images = getattr(loader, "_iterator", None)
        if images is not None:
            images._shutdown_workers()
