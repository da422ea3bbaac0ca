"""The whole recipe: an architecture's own configuration, fitted to data, options and machine."""

from __future__ import annotations

import math
import multiprocessing

from cvtk.options import TrainOptions
from cvtk.recipe.classes import set_classes
from cvtk.recipe.data import set_data
from cvtk.recipe.hooks import set_hooks
from cvtk.recipe.nodes import Node, set_where_present
from cvtk.recipe.schedule import set_schedule
from cvtk.recipe.sizes import enlarge_predicted_images, set_image_size
from cvtk.recipe.start import set_start


def fit_config(
    cfg: Node,
    name: str,
    task: str,
    datasets: dict[str, Node],
    images: int,
    rle: bool,
    options: TrainOptions,
    processes: int = 1,
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
    """
    images_per_batch = int(options.batch_size) * processes
    images_per_step = images_per_batch * options.accumulate
    steps_per_epoch = math.ceil(images / images_per_batch)
    set_classes(cfg["model"], len(datasets["train"]["metainfo"]["classes"]))
    set_start(cfg["model"], options.weights)
    if options.image_size:
        own = set_image_size(cfg, options.image_size)
        enlarge_predicted_images(cfg, own)
    set_data(cfg, task, datasets, options)
    if rle:  # loaded as polygons, such masks would be ignored
        set_where_present(cfg, poly2mask=True)
    counts = (options.epoch, steps_per_epoch, images_per_step)
    set_schedule(cfg, name, *counts, options.lr, options.weights == "none")
    set_hooks(cfg, task, steps_per_epoch, options.early_stop)
    cfg["randomness"] = {"seed": options.seed}
    cfg["optim_wrapper"]["accumulative_counts"] = options.accumulate
    # "spawn" on Windows and macOS: there, workers start from a fresh Python.
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
