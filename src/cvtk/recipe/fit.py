"""The whole recipe: an architecture's own configuration, fitted to data, options and machine."""

from __future__ import annotations

import math
import multiprocessing
from typing import Any

from cvtk.options import TrainOptions
from cvtk.recipe.classes import set_classes
from cvtk.recipe.data import set_data
from cvtk.recipe.hooks import set_hooks
from cvtk.recipe.nodes import set_where_present
from cvtk.recipe.schedule import set_schedule
from cvtk.recipe.sizes import set_image_size
from cvtk.recipe.start import set_start

# What MMEngine's Runner takes. Other keys of a configuration are variables that these were
# made from: changing them would do nothing.
RUNNER_KEYS = (
    *("model", "work_dir", "train_dataloader", "val_dataloader", "test_dataloader"),
    *("train_cfg", "val_cfg", "test_cfg", "auto_scale_lr", "optim_wrapper"),
    *("param_scheduler", "val_evaluator", "test_evaluator", "default_hooks"),
    *("custom_hooks", "data_preprocessor", "load_from", "resume", "launcher"),
    *("env_cfg", "log_processor", "log_level", "visualizer", "default_scope"),
    *("randomness", "experiment_name", "find_unused_parameters", "custom_imports"),
)


def fit_config(
    own: dict[str, Any],
    name: str,
    task: str,
    datasets: dict[str, dict[str, Any]],
    images: int,
    rle: bool,
    options: TrainOptions,
    processes: int = 1,
    amp_type: str = "",
) -> dict[str, Any]:
    """The complete configuration of a training.

    Args:
        own: The architecture's own configuration; parts of it are changed.
        name: The name of the architecture's file.
        task: "segm" or "det".
        datasets: From `dataset_of`: "train", and "valid" and "test" where they were given.
        images: How many there are to learn from.
        rle: Whether any of their masks is run-length encoded.
        options: The user's choices.
        processes: Processes that train together, each with a batch of its own.
        amp_type: The type of mixed precision, "bfloat16" or "float16"; empty: none.
    """
    cfg = {key: own[key] for key in own if key in RUNNER_KEYS}
    model, batch_size = cfg["model"], int(options.batch_size)
    images_per_batch = batch_size * processes
    steps_per_epoch = math.ceil(images / images_per_batch)
    images_per_step = images_per_batch * options.accumulate
    from_scratch = options.weights == "none"
    set_classes(model, len(datasets["train"]["metainfo"]["classes"]))
    set_start(model, options.weights)
    if options.image_size:
        set_image_size(cfg, options.image_size)
    set_data(cfg, task, datasets, batch_size, options.num_workers)
    if rle:  # loaded as polygons, such masks would be ignored
        set_where_present(cfg, poly2mask=True)
    steps = (options.epoch, steps_per_epoch, images_per_step)
    set_schedule(cfg, name, *steps, options.lr, from_scratch)
    set_runtime(cfg, options.seed, options.accumulate, amp_type)
    set_hooks(cfg, task, steps_per_epoch, options.early_stop, options.tensorboard)
    return cfg


def set_runtime(cfg: dict[str, Any], seed: int, accumulate: int, amp_type: str) -> None:
    """Sets the seed, how gradients are collected, and how worker processes start."""
    cfg["randomness"] = {"seed": seed}
    cfg["optim_wrapper"]["accumulative_counts"] = accumulate
    if amp_type:
        cfg["optim_wrapper"].update(type="AmpOptimWrapper", dtype=amp_type)
    # "spawn" on Windows and macOS: there, workers start from a fresh Python.
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
