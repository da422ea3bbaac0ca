"""What is seen of a training on the console."""

from __future__ import annotations

import datetime
import math
from typing import Any, TextIO

from cvtk.errors import ModelError


def show_progress(
    console: TextIO, runner: Any, metrics: Any = None, batch_idx: int = -1, **_: Any
) -> None:
    """A bar while an epoch runs, a line after it; MMEngine calls this as it trains."""
    import torch

    steps, number = len(runner.train_dataloader), runner.message_hub.get_scalar
    seconds, loss = number("train/time").mean(20), number("train/loss").mean(steps)
    if not math.isfinite(loss):
        raise ModelError("The loss is not a number any more. Try a lower --lr.")
    done, all_steps = runner.iter + (batch_idx >= 0), runner.max_iters
    left = datetime.timedelta(seconds=int(seconds * (all_steps - done)))
    text = f"epoch {-(-done // steps)}/{runner.max_epochs}  loss {loss:.3f}  "
    for key, name in (("coco/segm_mAP", "mask AP"), ("coco/bbox_mAP", "box AP")):
        text += f"{name} {metrics[key]:.3f}  " if key in (metrics or {}) else ""
    text += f"[{'#' * (20 * done // all_steps):.<20}] {done}/{all_steps}  ETA {left}"
    start, end = "\r" * console.isatty(), "\n" * (batch_idx < 0)
    if done == 6 and not end and not torch.cuda.is_available():
        each, end = datetime.timedelta(seconds=int(seconds * steps)), "\n"
        text = f"Without a GPU, an epoch takes {each} (hours:minutes:seconds)."
        text += " RTMDet's tiny models are lighter." if left.days else ""
    if start or end:
        print(f"{start}{text:<79}", end=end, file=console, flush=True)
