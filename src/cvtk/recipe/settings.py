"""What few people change in a configuration: the settings at the head of the helper script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cvtk.options import TrainOptions
from cvtk.recipe.nodes import set_where_present

DECAY_FACTOR = 0.1  # unless the user or the architecture has another


def apply_settings(cfg: dict[str, Any], options: TrainOptions) -> None:
    """Changes a fitted configuration by the options of kind "setting"."""
    if options.frozen_stages is not None:
        cfg["model"]["backbone"]["frozen_stages"] = options.frozen_stages
    set_decay(cfg, options.decay_epochs, options.decay_factor)
    set_warmup(cfg, options.warmup)
    hooks = cfg["default_hooks"]
    hooks["checkpoint"]["interval"] = options.save_every
    hooks["logger"]["interval"] = options.log_every
    set_validations(cfg, options.validate_every)
    if options.metric == "voc":
        set_best(cfg, hooks["checkpoint"]["save_best"] + "_50")


def set_validations(cfg: dict[str, Any], every: int) -> None:
    """Sets the epochs from one validation to the next; early stopping, which counts validations, then waits for fewer."""
    if every == 1:
        return
    cfg["train_cfg"]["val_interval"] = every
    for hook in cfg.get("custom_hooks") or []:
        if "patience" in hook:
            hook["patience"] = math.ceil(hook["patience"] / every)


def set_decay(
    cfg: dict[str, Any], epochs: Sequence[int] | None, factor: float | None
) -> None:
    """Lets the learning rate fall after other epochs, or to another fraction of itself."""
    schedulers = cfg["param_scheduler"]
    if epochs is not None:
        cfg["param_scheduler"] = [
            *[part for part in schedulers if part["type"] == "LinearLR"],
            {
                "type": "MultiStepLR",
                "by_epoch": True,
                "milestones": list(epochs),
                "gamma": factor or DECAY_FACTOR,
            },
        ]
    elif factor is not None:
        for scheduler in schedulers:
            if "milestones" in scheduler:
                scheduler["gamma"] = factor


def set_warmup(cfg: dict[str, Any], steps: int | None) -> None:
    """Lets the learning rate rise over so many steps; 0: no warm-up; None: as it is."""
    if steps is None:
        return
    schedulers = cfg["param_scheduler"]
    own = [part for part in schedulers if is_warmup(part)]
    cfg["param_scheduler"] = [part for part in schedulers if not is_warmup(part)]
    if steps:
        rise = own[0] if own else {"type": "LinearLR", "start_factor": 0.001}
        rise = {**rise, "by_epoch": False, "begin": 0, "end": steps}
        cfg["param_scheduler"].insert(0, rise)


def is_warmup(scheduler: dict[str, Any]) -> bool:
    """Whether a scheduler raises the learning rate over the first steps."""
    return scheduler["type"] == "LinearLR" and not scheduler.get("by_epoch", True)


def set_best(cfg: dict[str, Any], metric: str) -> None:
    """Sets the metric that selects the best epoch, and that ends a training early."""
    cfg["default_hooks"]["checkpoint"]["save_best"] = metric
    set_where_present(cfg.get("custom_hooks"), monitor=metric)
