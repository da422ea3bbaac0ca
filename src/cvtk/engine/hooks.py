"""What cvtk does while MMEngine trains: progress, checks, tables, and what a resumed training needs."""

from __future__ import annotations

import datetime
import math
import time
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.hooks import EarlyStoppingHook, Hook

from cvtk.engine.progress import Bar, Standing
from cvtk.engine.workspace import find_noted
from cvtk.errors import LossError
from cvtk.log import console, logger
from cvtk.recipe.speed import speed_up_cpu
from cvtk.recipe.workers import tie_workers
from cvtk.visual.class_curves import class_scalars
from cvtk.visual.training_stats import write_training_stats

STEPS_TO_JUDGE = (
    20  # the first ones are slower, so that an epoch's time is told by later ones
)
SECONDS_BETWEEN_PLOTS = 60
SHOWN_METRICS = {"coco/segm_mAP": "mask AP", "coco/bbox_mAP": "box AP"}


class ProgressHook(Hook):  # type: ignore[misc]
    """Shows a bar with the time left on a terminal, and a line after each epoch everywhere."""

    priority = "LOWEST"  # after MMEngine has noted its numbers

    def before_train(self, runner: Any) -> None:
        """Starts to count."""
        self.first = runner.iter
        self.told = False
        self.bar = Bar()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the bar, and says once how long an epoch takes where there is no GPU."""
        done = runner.iter + 1
        if dist.is_main_process():
            epoch = math.ceil(done / len(runner.train_dataloader))
            self.bar.show(standing(runner, epoch, done, {}))
        if not self.told and done - self.first >= STEPS_TO_JUDGE:
            self.told = True
            self._tell_time(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Shows the epoch's line, where no validation follows."""
        epoch = runner.epoch + 1  # it is counted after this
        if not is_validated(runner, epoch):
            self._end_line(runner, epoch, {})

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Shows the epoch's line with its AP."""
        self._end_line(runner, runner.epoch, metrics)

    def _end_line(self, runner: Any, epoch: int, metrics: dict[str, float]) -> None:
        if not dist.is_main_process():
            return
        start = "\r" if console().isatty() else ""
        line = str(standing(runner, epoch, runner.iter, metrics))
        print(f"{start}{line:<79}", file=console(), flush=True)

    def _tell_time(self, runner: Any) -> None:
        import torch

        if torch.cuda.is_available() or not dist.is_main_process():
            return
        seconds = runner.message_hub.get_scalar("train/time").mean(STEPS_TO_JUDGE)
        epoch = datetime.timedelta(seconds=int(seconds * len(runner.train_dataloader)))
        text = f"Without a GPU, an epoch takes {epoch} (hours:minutes:seconds)."
        if (epoch * (runner.max_epochs - runner.epoch)).days:
            text += " RTMDet's tiny models are lighter."
        logger.info(text)


def standing(runner: Any, epoch: int, done: int, metrics: dict[str, float]) -> Standing:
    """Where a training stands.

    Args:
        runner: MMEngine's.
        epoch: From 1.
        done: Steps, of all epochs.
        metrics: Of the validation after this epoch; empty without one.
    """
    steps, total = len(runner.train_dataloader), runner.max_iters
    scalar = runner.message_hub.get_scalar
    parts = [f"epoch {epoch}/{runner.max_epochs}"]
    parts.append(f"loss {scalar('train/loss').mean(steps):.3f}")
    for key, name in SHOWN_METRICS.items():
        if key in metrics:
            parts.append(f"{name} {metrics[key]:.3f}")
    seconds = scalar("train/time").mean(STEPS_TO_JUDGE) * (total - done)
    left = datetime.timedelta(seconds=int(seconds))
    return Standing(done, total, "  ".join(parts), f"ETA {left}")


def is_validated(runner: Any, epoch: int) -> bool:
    """Whether a validation follows an epoch, counted from 1."""
    loop = runner.train_loop
    if runner.val_loop is None or epoch < loop.val_begin:
        return False
    return bool(epoch >= loop.max_epochs or epoch % loop.val_interval == 0)


class GuardHook(Hook):  # type: ignore[misc]
    """Ends a training whose loss is not a number, and lets its workers end with it."""

    priority = "VERY_LOW"

    def before_train(self, runner: Any) -> None:
        """Ties the workers of both data loaders to this process."""
        tie_workers(runner.train_dataloader)
        if runner.val_loop is not None:
            tie_workers(runner.val_dataloader)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Looks at the loss.

        Raises:
            LossError: It is not a number.
        """
        if not math.isfinite(outputs["loss"]):
            raise LossError(
                "The loss is not a number any more.",
                "Try a lower --lr, or --weights coco.",
            )


class CPUSpeedHook(Hook):  # type: ignore[misc]
    """Makes a training on a CPU faster."""

    def before_train(self, runner: Any) -> None:
        """Prepares it; what the user should know is a decision as well."""
        if said := speed_up_cpu(runner):
            logger.info(said)
            runner.cfg.decisions.append(said)


class ResumeHook(Hook):  # type: ignore[misc]
    """Puts right what a resumed training knows of the one before."""

    priority = "VERY_HIGH"  # before MMEngine's hooks look at it

    def before_train(self, runner: Any) -> None:
        """Finds the best checkpoint in this workspace, which may have been moved.

        MMEngine removes the file or folder that is noted as the best one when there is a better one, so no other
        path than that of a checkpoint in this workspace may stay noted.
        """
        hub = runner.message_hub
        for key in [k for k in hub.runtime_info if k.startswith("best_ckpt")]:
            noted = hub.runtime_info[key]
            best = find_noted(Path(runner.work_dir), noted)
            if best is not None:
                hub.update_info(key, str(best))
                continue
            hub.pop_info(key)
            hub.pop_info(key.replace("best_ckpt", "best_score"), None)
            # Where the epoch itself was better, the one before was removed, and validating finds that again.
            was_best = any(
                Path(runner.work_dir).glob(f"best_*_epoch_{runner.epoch}.pth")
            )
            if noted is not None and not was_best:
                logger.warning("The best epoch is sought anew: its file is gone.")


class ValidateFirstHook(Hook):  # type: ignore[misc]
    """Validates before a resumed training goes on: it may have been stopped just before it did."""

    priority = "LOWEST"

    def before_train(self, runner: Any) -> None:
        """Validates the epoch that is resumed from."""
        if is_validated(runner, runner.epoch):
            runner.val_loop.run()


class PatienceHook(EarlyStoppingHook):  # type: ignore[misc]
    """MMEngine's early stopping, which goes on counting after a resume, and says why it ends."""

    def before_train(self, runner: Any) -> None:
        """Takes up the count of the training before."""
        known = runner.message_hub.get_info("patience", None)
        if known is not None:
            self.best_score, self.wait_count = known

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Counts the epochs without a better AP."""
        super().after_val_epoch(runner, metrics)
        state = (self.best_score, self.wait_count)
        runner.message_hub.update_info("patience", state)
        if runner.train_loop.stop_training:
            count = self.wait_count * runner.train_loop.val_interval
            epochs = f"{count} epoch{'s' * (count > 1)}"
            logger.info(f"No better AP in {epochs}: the training ends here.")


class ClassMetricsHook(Hook):  # type: ignore[misc]
    """Adds AP by class to the log of each validation, from which tables and curves are made."""

    priority = "VERY_LOW"  # before the tables are written

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Writes a line of its own: MMEngine would average classes whose name it takes for that of a loss."""
        from cvtk.engine.coco_metric import CLASS_METRICS

        by_class = runner.message_hub.get_info(CLASS_METRICS, {})
        if by_class and dist.is_main_process():
            runner.visualizer.add_scalars(class_scalars(by_class), step=runner.epoch)


class StatsHook(Hook):  # type: ignore[misc]
    """Writes tables and plots while the training runs, so that a stopped one leaves them too."""

    priority = "LOWEST"

    def __init__(self, kinds: list[str], best_by: str) -> None:
        self.kinds = kinds
        self.best_by = best_by
        self.last = 0.0

    def after_train_epoch(self, runner: Any) -> None:
        """Writes after the epoch, where no validation follows."""
        if not is_validated(runner, runner.epoch + 1):
            self._write(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Writes after the validation."""
        self._write(runner)

    def _write(self, runner: Any) -> None:
        recently = time.monotonic() - self.last < SECONDS_BETWEEN_PLOTS
        if dist.is_main_process() and not recently:
            folder = Path(runner.work_dir)
            write_training_stats(folder, self.kinds, best_by=self.best_by)
            self.last = time.monotonic()
