"""What is kept and logged while a training runs, and when it ends early."""

from __future__ import annotations

from cvtk.recipe.nodes import Node

# An AP that is equal is not better: MMEngine wants a difference to compare with.
SMALLEST_GAIN = 1e-6


def set_hooks(
    cfg: Node, task: str, steps_per_epoch: int, early_stop: int | None
) -> None:
    """Sets the checkpoints, the logs, and after how many epochs without a better AP it ends."""
    best = "coco/segm_mAP" if task == "segm" else "coco/bbox_mAP"
    checkpoint = {"type": "CheckpointHook", "interval": 1, "save_best": best}
    checkpoint["max_keep_ckpts"] = 2  # so that at any moment one of them is complete
    # The last line of each epoch in the log holds the means of the epoch.
    logger = {"type": "LoggerHook", "interval": 50, "ignore_last": False}
    cfg["default_hooks"].update(checkpoint=checkpoint, logger=logger)
    means = {"window_size": steps_per_epoch, "mean_pattern": "^(?!coco)"}
    cfg["log_processor"] = {"type": "LogProcessor", **means}
    if early_stop:
        better = {"monitor": best, "rule": "greater", "min_delta": SMALLEST_GAIN}
        hook = {"type": "EarlyStoppingHook", **better, "patience": early_stop}
        cfg["custom_hooks"] = [*(cfg.get("custom_hooks") or []), hook]
