"""The schedule and the learning rate, made for 118,000 images on 8 GPUs, for the steps there are."""

from __future__ import annotations

import re
from typing import Any

from cvtk.recipe.nodes import each_dict

COCO_IMAGES = 117_266  # of COCO train2017, those with annotations
WARMUP_SHARE = 0.1  # of all steps, at most
FASTEST_AVERAGE = (
    0.2  # share by which the average of the weights moves per step, at most
)
MOSAIC_STEPS = 5000  # in shorter trainings, mosaic and mixup cost more than they bring
COUNTS = ("begin", "end", "T_max", "step_size", "milestones")
HOOK_COUNTS = ("switch_epoch", "num_last_epochs")


def published_batch(cfg: dict[str, Any], name: str) -> int:
    """Images per step of the published training: "8xb32" in a name is 8 GPUs with 32 images each."""
    found = re.search(r"(\d+)xb(\d+)", name)
    if found:
        return int(found[1]) * int(found[2])
    return int(cfg.get("auto_scale_lr", {}).get("base_batch_size", 16))


def set_schedule(
    cfg: dict[str, Any],
    name: str,
    epochs: int,
    steps_per_epoch: int,
    images_per_step: int,
    lr: float | None,
    from_scratch: bool,
) -> None:
    """Fits the schedule to the epochs and steps there are, and the learning rate to the batch.

    Args:
        cfg: The configuration; changed in place.
        name: Of the architecture's file, which often tells the batch of the published training.
        epochs: How often each image is seen.
        steps_per_epoch: Steps that this takes.
        images_per_step: Of all processes, and all batches that make one step together.
        lr: The learning rate; None fits the architecture's own.
        from_scratch: Whether nothing was trained before.
    """
    batch = published_batch(cfg, name)
    loop = {"max_epochs": 12, **cfg["train_cfg"]}
    old_steps = loop.get("max_iters") or loop["max_epochs"] * COCO_IMAGES // batch
    steps = epochs * steps_per_epoch
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
    factor = set_learning_rate(cfg, images_per_step / batch, lr, from_scratch)
    epoch_share = epochs / loop["max_epochs"]
    schedulers = [
        part for part in each_dict(cfg.get("param_scheduler")) if "type" in part
    ]
    for scheduler in schedulers:
        move_counts(scheduler, epoch_share, steps, old_steps)
        if "eta_min" in scheduler:
            scheduler["eta_min"] *= factor
    cfg["param_scheduler"] = [part for part in schedulers if has_steps(part)]
    for hook in each_dict(cfg.get("custom_hooks")):
        move_counts(hook, epoch_share, steps, old_steps)
        fit_hook(hook, steps, old_steps)


def set_learning_rate(
    cfg: dict[str, Any], batch_factor: float, lr: float | None, from_scratch: bool
) -> float:
    """Sets the learning rate; returns by which factor it changed.

    Batch and learning rate go together: linearly for SGD (https://arxiv.org/abs/1706.02677), by the square
    root for Adam and its kin (https://arxiv.org/abs/2205.10287), and twice that where nothing that was
    learned can be lost.
    """
    optimizer = cfg["optim_wrapper"]["optimizer"]
    if lr is not None:
        factor = lr / optimizer["lr"]
    elif optimizer["type"] == "SGD":
        factor = batch_factor
    else:
        factor = batch_factor**0.5 * (2 if from_scratch else 1)
    optimizer["lr"] = float(f"{optimizer['lr'] * factor:.4g}")
    return float(factor)


def move_counts(
    part: dict[str, Any], epoch_share: float, steps: int, old_steps: int
) -> None:
    """Moves what a scheduler or hook counts, in epochs or steps, in proportion to the length."""
    share = epoch_share
    if not part.get("by_epoch", True):
        share = steps / old_steps
    if part.get("type") == "LinearLR" and not part.get("by_epoch", True):
        share = min(1, WARMUP_SHARE * steps / part["end"])  # never longer than it was
    for key in part.keys() & {*COUNTS, *HOOK_COUNTS}:
        if isinstance(part[key], list):
            part[key] = [moved_count(count, share) for count in part[key]]
        else:
            part[key] = moved_count(part[key], share)


def moved_count(count: int, share: float) -> int:
    """A count of epochs or steps times a share; what was not 0 stays at least 1."""
    return max(1, round(count * share)) if count else 0


def has_steps(scheduler: dict[str, Any]) -> bool:
    """Whether a scheduler has a step left to act on."""
    first, last = scheduler.get("begin", 0), scheduler.get("end")
    return last is None or bool(last > max(1, first))


def fit_hook(hook: dict[str, Any], steps: int, old_steps: int) -> None:
    """Fits the hooks that average weights or switch pipelines to a training of so many steps."""
    if hook.get("type") == "EMAHook":  # averages over the same share of the steps
        momentum = hook["momentum"] * old_steps / steps
        hook["momentum"] = min(FASTEST_AVERAGE, momentum)
    if hook.get("ema_type") == "ExpMomentumEMA":
        hook["gamma"] = max(1, round(2000 * steps / old_steps))
    if "switch_epoch" in hook and steps < MOSAIC_STEPS:
        hook["switch_epoch"] = 0
