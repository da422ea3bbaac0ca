"""What is kept and logged while a training runs, and when it ends early."""

from __future__ import annotations

from typing import Any

# An AP that is equal is not better: MMEngine wants a difference to compare with.
SMALLEST_GAIN = 1e-6


def set_hooks(
    cfg: dict[str, Any],
    task: str,
    steps_per_epoch: int,
    early_stop: int | None,
) -> None:
    """Sets the checkpoints, the logs, and after how many epochs without a better AP it ends."""
    best = "coco/segm_mAP" if task == "segm" else "coco/bbox_mAP"
    hooks = cfg["default_hooks"]
    hooks["checkpoint"] = {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 2,  # so that at any moment one of them is complete
        "save_best": best,
    }
    # The last line of each epoch in the log holds the means of the epoch.
    hooks["logger"] = {"type": "LoggerHook", "interval": 50, "ignore_last": False}
    cfg["log_processor"] = {
        "type": "LogProcessor",
        "window_size": steps_per_epoch,
        "mean_pattern": "^(?!coco)",
    }
    if early_stop:
        stopping = {
            "type": "EarlyStoppingHook",
            "monitor": best,
            "rule": "greater",
            "patience": early_stop,
            "min_delta": SMALLEST_GAIN,
        }
        cfg["custom_hooks"] = [*(cfg.get("custom_hooks") or []), stopping]
