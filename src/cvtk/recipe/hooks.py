"""What is kept and logged while a training runs, and when it ends early."""

from __future__ import annotations

from typing import Any

# Of two equal APs the later one is not better; MMEngine asks for a difference to compare with.
SMALLEST_GAIN = 1e-6


def set_hooks(
    cfg: dict[str, Any],
    task: str,
    steps_per_epoch: int,
    early_stop: int | None,
    tensorboard: bool,
) -> None:
    """Sets checkpoints, logs, and early stopping.

    Args:
        cfg: The configuration; changed in place.
        task: "segm": the best epoch is that of the best mask AP; "det": of the best box AP.
        steps_per_epoch: Over which the logged means are taken.
        early_stop: Epochs without a better AP after which the training ends; None: it does not.
        tensorboard: Whether to log for TensorBoard too.
    """
    best = "coco/segm_mAP" if task == "segm" else "coco/bbox_mAP"
    hooks = cfg["default_hooks"]
    hooks["checkpoint"] = {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 2,  # so that one is whole at any time
        "save_best": best,
    }
    # The last line of an epoch in the log tells the means of the epoch.
    hooks["logger"] = {"type": "LoggerHook", "interval": 50, "ignore_last": False}
    cfg["log_processor"] = {
        "type": "LogProcessor",
        "window_size": steps_per_epoch,
        "mean_pattern": "^(?!coco)",
    }
    if early_stop:
        stop = {"type": "EarlyStoppingHook", "monitor": best, "rule": "greater"}
        stop |= {"patience": early_stop, "min_delta": SMALLEST_GAIN}
        cfg["custom_hooks"] = [*(cfg.get("custom_hooks") or []), stop]
    if tensorboard:
        backends = cfg["visualizer"]["vis_backends"]
        backends.append({"type": "TensorboardVisBackend"})
