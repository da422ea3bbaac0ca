"""Tells a function of the user how far a training is."""

from __future__ import annotations

from typing import Any

from mmengine import dist
from mmengine.hooks import Hook

from cvtk.options import Follower


class FollowHook(Hook):  # type: ignore[misc]
    """Calls a function after each step with the losses, and after each validation with the metrics.

    Args:
        progress: The function; of several processes, only the first calls it.
    """

    priority = "LOWEST"  # after MMEngine has noted its numbers

    def __init__(self, progress: Follower) -> None:
        self.progress = progress

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Tells the losses and the learning rate of the step."""
        noted = runner.message_hub.log_scalars
        values = {
            name.removeprefix("train/"): float(noted[name].current())
            for name in noted
            if name.startswith("train/")
        }
        self._tell(runner, runner.iter + 1, values)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Tells the metrics of the validation."""
        values = {name: float(value) for name, value in metrics.items()}
        self._tell(runner, runner.iter, values)

    def _tell(self, runner: Any, done: int, values: dict[str, float]) -> None:
        if dist.is_main_process():
            self.progress(done, runner.max_iters, values)
