"""Progress that follows the work: of a training by its steps, of a prediction by its images."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cvtk.errors import InstallError
from cvtk.options import Follower
from cvtk.results import Result
from cvtk.ymir.task import Task

SECONDS_BETWEEN = 1.0
# Reading the data comes before the first step, and writing the stages after the last one.
FIRST, LAST = 0.02, 0.97


def follow(task: Task) -> Follower:
    """What `Model.train` takes as `progress`: moves the monitor, and writes TensorBoard's events.

    Args:
        task: The job.
    """
    shown = 0.0

    def progress(done: int, steps: int, values: Mapping[str, float]) -> None:
        nonlocal shown
        board = _board(task.environment.output["tensorboard_dir"])
        for name, value in values.items():
            board.add_scalar(name, value, done)
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN or done == steps:
            board.flush()
            task.show(FIRST + (LAST - FIRST) * done / steps)
            shown = now

    return progress


@functools.lru_cache(maxsize=1)
def _board(folder: Path) -> Any:
    """Writes TensorBoard's events; made when the first is there, since of several processes only one has any."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InstallError(
            "tensorboard is not installed.", 'Install it: pip install "cvtk[ymir]"'
        ) from None
    return SummaryWriter(str(folder))


def follow_results(task: Task, results: Iterable[Result]) -> Iterator[Result]:
    """Passes results on, and moves the monitor by them.

    Args:
        task: The job.
        results: One per image of the task.
    """
    images, shown = len(task.images), 0.0
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN or done == images:
            task.show(FIRST + (LAST - FIRST) * done / images)
            shown = now
