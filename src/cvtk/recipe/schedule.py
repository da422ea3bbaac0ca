"""The schedule and the learning rate, made for 118,000 images on 8 GPUs, for the steps at hand."""

from __future__ import annotations

import re
from typing import Any

from cvtk.recipe.nodes import Node, each_dict

COCO_IMAGES = 117_266  # those of train2017 that have annotations
STEPS_PER_WARMUP_STEP = 10  # the warm-up takes a tenth of the steps at most
FASTEST_AVERAGE = 0.2  # the most that one step may count in the average of the weights
MOSAIC_STEPS = 5000  # in shorter trainings, mosaic and mixup cost more than they bring
# What schedulers and hooks count, in epochs or steps.
COUNTS = {"begin", "end", "T_max", "step_size", "milestones"}
COUNTS |= {"switch_epoch", "num_last_epochs"}


def published_batch(cfg: Node, name: str) -> int:
    """Images per step of the published training: "8xb32" is 8 GPUs with 32 images each."""
    found = re.search(r"(\d+)xb(\d+)", name)
    if found:
        return int(found[1]) * int(found[2])
    return int(cfg.get("auto_scale_lr", {}).get("base_batch_size", 16))


def set_schedule(
    cfg: Node,
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
        name: The name of the architecture's file; it often tells the published batch.
        epochs: How often each image is seen.
        steps_per_epoch: Batches per process and epoch.
        images_per_step: Images per change of the weights, of all processes together.
        lr: The learning rate; None: the architecture's own, fitted to the batch.
        from_scratch: Whether nothing was trained before.
    """
    batch = published_batch(cfg, name)
    loop = {"max_epochs": 12, **cfg["train_cfg"]}
    old_steps = loop.get("max_iters") or loop["max_epochs"] * COCO_IMAGES // batch
    steps = epochs * steps_per_epoch
    shares = (epochs / loop["max_epochs"], steps / old_steps)
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
    factor = set_learning_rate(cfg, images_per_step / batch, lr, from_scratch)
    parts = each_dict(cfg.get("param_scheduler"))
    schedulers = [part for part in parts if "type" in part]
    for scheduler in schedulers:
        move_counts(scheduler, *shares, steps)
        if "eta_min" in scheduler:
            scheduler["eta_min"] *= factor
    cfg["param_scheduler"] = [part for part in schedulers if has_steps(part)]
    for hook in each_dict(cfg.get("custom_hooks")):
        move_counts(hook, *shares, steps)
        fit_hook(hook, shares[1], steps)


def set_learning_rate(
    cfg: Node, batch_factor: float, lr: float | None, from_scratch: bool
) -> float:
    """Sets the learning rate, and returns the factor by which it changed."""
    optimizer = cfg["optim_wrapper"]["optimizer"]
    own, factor = optimizer["lr"], batch_factor
    # It goes with the batch: in proportion for SGD (https://arxiv.org/abs/1706.02677), with
    # the square root for Adam and its kin (https://arxiv.org/abs/2205.10287), and twice
    # that where there is nothing learned to lose.
    if optimizer["type"] != "SGD":
        factor = batch_factor**0.5 * (2 if from_scratch else 1)
    optimizer["lr"] = float(f"{own * factor:.4g}") if lr is None else lr
    return factor if lr is None else float(lr / own)


def move_counts(part: Node, epoch_share: float, step_share: float, steps: int) -> None:
    """Moves what a scheduler or hook counts in proportion to the length of the training."""
    share = epoch_share
    if not part.get("by_epoch", True):
        share = step_share
        if part["type"] == "LinearLR" and part.get("end"):  # no longer than it was
            share = min(1, steps / STEPS_PER_WARMUP_STEP / part["end"])
    for key in part.keys() & COUNTS:
        part[key] = moved(part[key], share)


def moved(count: Any, share: float) -> Any:
    """Counts of epochs or steps times a share; one that was not 0 stays at least 1."""
    if isinstance(count, list):
        return [moved(each, share) for each in count]
    return max(1, round(count * share)) if count else count


def has_steps(scheduler: Node) -> bool:
    """Whether a scheduler has a step left in which it acts."""
    begin, end = scheduler.get("begin", 0), scheduler.get("end")
    return end is None or bool(end > max(1, begin))


def fit_hook(hook: Node, share: float, steps: int) -> None:
    """Fits hooks that average weights or switch pipelines to the number of steps."""
    if hook.get("type") == "EMAHook":  # averages over the same share of the steps
        hook["momentum"] = min(FASTEST_AVERAGE, hook.get("momentum", 0.0002) / share)
    if hook.get("ema_type") == "ExpMomentumEMA":
        hook["gamma"] = max(1, round(2000 * share))
    if "switch_epoch" in hook and steps < MOSAIC_STEPS:
        hook["switch_epoch"] = 0
