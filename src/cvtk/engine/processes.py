"""Several processes that train one model: those that torchrun or srun has started."""

from __future__ import annotations

import datetime
import os

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
