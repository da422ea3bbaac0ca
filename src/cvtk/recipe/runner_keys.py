"""The keys of a configuration that MMEngine's Runner takes."""

from __future__ import annotations

from typing import Any

# Other keys of a configuration are variables that these were made from: changing them would do nothing.
RUNNER_KEYS = (
    *("model", "work_dir", "train_dataloader", "val_dataloader", "test_dataloader"),
    *("train_cfg", "val_cfg", "test_cfg", "auto_scale_lr", "optim_wrapper"),
    *("param_scheduler", "val_evaluator", "test_evaluator", "default_hooks"),
    *("custom_hooks", "data_preprocessor", "load_from", "resume", "launcher"),
    *("env_cfg", "log_processor", "log_level", "visualizer", "default_scope"),
    *("randomness", "experiment_name", "find_unused_parameters", "custom_imports"),
)


def keep_runner_keys(cfg: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that has an effect."""
    return {key: cfg[key] for key in cfg if key in RUNNER_KEYS}
