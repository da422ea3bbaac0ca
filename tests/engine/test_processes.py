"""Processes are joined where torchrun or srun has started them, and nowhere else; see tests/scripts for torchrun."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

pytest.importorskip("mmengine", reason="needs MMEngine")

from mmengine import dist
from torch.utils.data import DataLoader

from cvtk.engine.processes import (
    end_workers,
    join_processes,
    spared_by_garbage_collection,
)
from cvtk.errors import ModelError

# What an interactive shell or a batch script of SLURM has, outside of srun.
BATCH = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    "environment", [{}, BATCH, {**BATCH, "SLURM_STEP_NUM_TASKS": "1"}]
)
def test_a_process_alone_stays_alone(environment, monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert join_processes("cpu") == "cpu"
    assert join_processes("cuda:1") == "cuda:1"
    assert not dist.is_distributed()


def test_several_tasks_of_srun_need_gpus(monkeypatch):
    for name, value in {**BATCH, "SLURM_STEP_NUM_TASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ModelError, match=r"GPUs.*torchrun"):
        join_processes("cpu")


def test_what_is_loaded_is_spared_until_the_training_ends():
    # Also where a training fails, and one begins within another one.
    gc.unfreeze()  # what a test before may have left
    with pytest.raises(ModelError), spared_by_garbage_collection():
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        with spared_by_garbage_collection():
            pass
        assert gc.get_freeze_count() == frozen
        raise ModelError("")
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("whole", [True, False])
def test_workers_end_with_the_training(whole):
    """Also one that fails in the midst of an epoch."""
    loader = DataLoader(range(20), num_workers=1, persistent_workers=True)
    images = iter(loader)
    for _ in range(20 if whole else 1):
        next(images)
    (worker,) = images._workers
    assert worker.is_alive()
    not_built = {"type": "ValLoop"}
    end_workers(
        SimpleNamespace(
            _train_loop=SimpleNamespace(dataloader=loader), _val_loop=not_built
        )
    )
    assert worker.exitcode == 0
