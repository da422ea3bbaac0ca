"""The complete configuration of a training: the recipe, applied to data, choices and this machine."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from cvtk.data.reading import Reading
from cvtk.engine.backbones import require_frozen_stages
from cvtk.engine.batch import largest_batch
from cvtk.engine.config_files import read_architecture
from cvtk.engine.poses import fit_to_poses
from cvtk.engine.precision import set_precision
from cvtk.engine.spec import ModelSpec
from cvtk.engine.trackers import add_tracker
from cvtk.engine.training_data import TrainingData
from cvtk.errors import OptionError
from cvtk.log import logger
from cvtk.options import TrainOptions
from cvtk.recipe.explanations import crowding_notes, explain
from cvtk.recipe.fit import fit_config
from cvtk.recipe.nodes import each_dict, set_where_present
from cvtk.recipe.overrides import apply_overrides
from cvtk.recipe.quirks import apply_quirks
from cvtk.recipe.runner_keys import keep_runner_keys
from cvtk.recipe.settings import apply_settings

BATCH_WITHOUT_GPU = 4  # what "auto" means where there is no GPU's memory to fill


def configure(
    spec: ModelSpec,
    data: TrainingData,
    options: TrainOptions,
    device: str,
    processes: int = 1,
) -> Any:
    """The complete configuration, as MMEngine's `Config`.

    Args:
        spec: The architecture and its classes.
        data: The sets, prepared.
        options: The user's choices.
        device: Where it will train, e.g. "cpu" or "cuda".
        processes: That train together.

    Raises:
        OptionError: An option that does not go with the architecture.
        InstallError: A package that is needed is missing.
    """
    from mmengine.config import Config

    if options.batch_size == "auto":
        batch_size = _automatic_batch(spec, data, options, device, processes)
        options = replace(options, batch_size=batch_size)
        logger.info(f"Batches of {batch_size} images.")
    own = read_architecture(spec.config)
    if options.frozen_stages is not None:
        require_frozen_stages(own["model"])
    for note in apply_quirks(own, device):
        logger.info(note)
    cfg = keep_runner_keys(own)
    before = copy.deepcopy(cfg)
    fit_config(
        cfg,
        spec.config.stem,
        spec.task,
        data.datasets,
        data.images,
        data.rle,
        options,
        processes,
    )
    if data.poses is not None:
        fit_to_poses(cfg, data.poses, spec.classes)
    if options.amp:
        set_precision(cfg, device)
    cfg["work_dir"] = str(options.workspace)
    if processes > 1:
        set_processes(cfg, device)
    apply_settings(cfg, options)
    add_tracker(cfg, options)
    apply_overrides(cfg, options.set)
    reading = Reading(options.intensity).with_choices(options.page, options.channels)
    cfg.update(reading.notes())
    cfg["decisions"] = explain(before, cfg, options, processes)
    for note in crowding_notes(cfg, data.most_objects):
        logger.info(note)
    return Config(cfg, filename=str(spec.config))


def set_processes(cfg: dict[str, Any], device: str) -> None:
    """What several processes need: a launcher, and on a CPU nothing that only GPUs have."""
    cfg["launcher"] = "pytorch"
    if device != "cpu":
        return
    cfg["model_wrapper_cfg"] = {
        "type": "MMDistributedDataParallel",
        "device_ids": None,
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
    }
    for part in each_dict(cfg["model"]):
        if "SyncBN" in str(part.get("type")):
            part["type"] = "BN"
    set_where_present(cfg["model"], use_syncbn=False)
    if "RTMDet" in cfg["model"]["type"]:  # which uses it unasked
        cfg["model"]["use_syncbn"] = False


def _automatic_batch(
    spec: ModelSpec,
    data: TrainingData,
    options: TrainOptions,
    device: str,
    processes: int,
) -> int:
    if processes > 1:
        raise OptionError("--batch_size auto is for one process.", "Give a number.")
    if not device.startswith("cuda"):
        return BATCH_WITHOUT_GPU
    trial = replace(options, batch_size=BATCH_WITHOUT_GPU)
    return largest_batch(configure(spec, data, trial, device))
