"""What is seen of a training on the console."""

from __future__ import annotations

import datetime
from typing import Any, TextIO


def show_progress(
    console: TextIO, runner: Any, batch_idx: int = -1, metrics: Any = None, **_: Any
) -> None:
    """A bar while an epoch runs, AP after it; MMEngine calls this as it trains."""
    import torch

    steps, number = len(runner.train_dataloader), runner.message_hub.get_scalar
    seconds, loss = number("train/time").mean(20), number("train/loss").mean(steps)
    left = datetime.timedelta(seconds=int(seconds * (runner.max_iters - runner.iter)))
    done = metrics is not None or (batch_idx + 1 == steps and not runner.val_loop)
    text = f"epoch {runner.epoch + (metrics is None)}/{runner.max_epochs}  "
    for key, name in (("coco/segm_mAP", "mask AP"), ("coco/bbox_mAP", "box AP")):
        text += f"{name} {metrics[key]:.3f}  " if key in (metrics or {}) else ""
    bar = f"[{'#' * (20 * (batch_idx + 1) // steps):.<20}]  "
    text += f"{'' if done else bar}loss {loss:.3f}  ETA {left}"
    if runner.iter == 5 and batch_idx >= 0 and not torch.cuda.is_available():
        text = f"Without a GPU, an epoch takes {seconds * steps / 60:.1f} minutes."
        text += " RTMDet's tiny models are lighter." if left.days else ""
        done = True
    if console.isatty():
        print(f"\r{text:<79}", end="\n" if done else "", file=console, flush=True)
    elif done:
        print(text, file=console, flush=True)
