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


def fit_config(
    cfg: dict[str, Any],
    name: str,
    task: str,
    datasets: dict[str, dict[str, Any]],
    images: int,
    rle: bool,
    options: TrainOptions,
    processes: int = 1,
    amp_type: str = "",
) -> None:
    """Fits an architecture's own configuration to data, choices and machine.

    Args:
        cfg: The architecture's own configuration; changed in place.
        name: The name of the architecture's file.
        task: "segm" or "det".
        datasets: From `dataset_of`: "train", and "valid" and "test" where they were given.
        images: How many there are to learn from.
        rle: Whether any of their masks is run-length encoded.
        options: The user's choices.
        processes: Processes that train together, each with a batch of its own.
        amp_type: The type of mixed precision, "bfloat16" or "float16"; empty: none.
    """
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
    set_hooks(cfg, task, steps_per_epoch, options.early_stop)


def set_runtime(cfg: dict[str, Any], seed: int, accumulate: int, amp_type: str) -> None:
    """Sets the seed, how gradients are collected, and how worker processes start."""
    cfg["randomness"] = {"seed": seed}
    cfg["optim_wrapper"]["accumulative_counts"] = accumulate
    if amp_type:
        cfg["optim_wrapper"].update(type="AmpOptimWrapper", dtype=amp_type)
    # "spawn" on Windows and macOS: there, workers start from a fresh Python.
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
