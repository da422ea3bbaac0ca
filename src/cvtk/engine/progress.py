"""What is seen and kept of a training: the console, two tables, the best weights."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from mmengine.hooks import EMAHook, Hook


class Progress(Hook):  # type: ignore[misc]
    """MMEngine calls these methods as it trains: a bar, two tables, the best weights."""

    priority = "HIGH"  # before EMAHook puts its averaged weights away

    def __init__(self, stats: str, best: Path, meta: dict[str, Any]) -> None:
        self.stats, self.best, self.meta = stats, best, meta
        self.console = sys.stdout  # what others print goes to the log
        self.rows: dict[str, list[dict[str, Any]]] = {"train": [], "valid": []}

    def show(self, text: str) -> None:
        """Writes to the console at once."""
        print(text, end="", file=self.console, flush=True)

    def means(self, runner: Any, mode: str, steps: int) -> dict[str, float]:
        """The mean of each value over the last steps."""
        logged = runner.message_hub.log_scalars.items()
        here = {k.split("/", 1)[1]: v for k, v in logged if k.startswith(f"{mode}/")}
        return {k: float(v.mean(steps)) for k, v in here.items() if len(v.data[0])}

    def add_row(self, split: str, row: dict[str, Any]) -> None:
        """Adds a row to a table, and writes the table."""
        self.rows[split].append(row)
        table = pd.DataFrame(self.rows[split])
        table.to_csv(f"{self.stats}.{split}.txt", sep="\t", index=False)

    def save(self, model: Any) -> None:
        """Keeps these weights as the best ones."""
        state = getattr(model, "module", model).state_dict()
        torch.save({"state_dict": state, "meta": self.meta}, self.best)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the bar."""
        step, steps = batch_idx + 1, len(runner.train_dataloader)
        now = self.means(runner, "train", min(step, 10))
        left = now.get("time", 0) * (runner.max_iters - runner.iter - 1)
        if self.console.isatty():
            bar = f"{'#' * (20 * step // steps):.<20}"
            text = f"epoch {runner.epoch + 1}/{runner.max_epochs} [{bar}] {step}/{steps}"
            eta = datetime.timedelta(seconds=round(left))
            self.show(f"\r{text}  loss {now['loss']:.3f}  ETA {eta} ")
        if runner.iter == 5 and not torch.cuda.is_available():
            hours = left / 3600
            lighter = " RTMDet's tiny models are lighter." if hours > 6 else ""
            each = left / 60 / runner.max_epochs
            self.show(f"\rWithout a GPU: {each:.1f} minutes an epoch, ")
            self.show(f"{hours:.1f} hours in all.{lighter}".ljust(50) + "\n")

    def after_train_epoch(self, runner: Any) -> None:
        """A row of means for the epoch."""
        row = self.means(runner, "train", len(runner.train_dataloader))
        first = {k: row.pop(k) for k in ("lr", "data_time", "loss")}
        last = {"time": row.pop("time"), "memory": 0.0}
        if torch.cuda.is_available():
            last["memory"] = torch.cuda.max_memory_allocated() / 2**20
        row.pop("base_lr", None)
        self.add_row("train", {"epoch": runner.epoch + 1, **first, **row, **last})
        text = f"epoch {runner.epoch + 1}/{runner.max_epochs}  loss {first['loss']:.3f}"
        wipe = "\r" if self.console.isatty() else ""
        self.show(f"{wipe}{text}".ljust(70) if wipe else text)
        self.show("  " if runner.val_loop else "\n")

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """A row of AP for the epoch; the best epoch's weights are kept."""
        kinds = runner.cfg.val_evaluator.metric
        sizes = ("", "_50", "_75", "_s", "_m", "_l")
        names = [f"coco/{kind}_mAP{size}" for kind in kinds for size in sizes]
        # With no prediction at all there are no numbers: then AP is 0.
        row: dict[str, Any] = {name: (metrics or {}).get(name, 0.0) for name in names}
        best = max((r[f"coco/{kinds[-1]}_mAP"] for r in self.rows["valid"]), default=-1)
        if row[f"coco/{kinds[-1]}_mAP"] > best:
            self.save(runner.model)
        times = self.means(runner, "val", len(runner.val_dataloader))
        row.update({k: times[k] for k in ("data_time", "time")}, step=runner.epoch)
        self.add_row("valid", row)
        aps = (f"{kind} AP {row[f'coco/{kind}_mAP']:.3f}" for kind in reversed(kinds))
        text = "  ".join(aps).replace("segm", "mask").replace("bbox", "box")
        self.show(f"{text}\n")

    def after_train(self, runner: Any) -> None:
        """Without validation images, the last weights are the best that are known."""
        if not self.rows["valid"]:
            averages = [h.ema_model for h in runner.hooks if isinstance(h, EMAHook)]
            self.save((averages or [runner.model])[0])
