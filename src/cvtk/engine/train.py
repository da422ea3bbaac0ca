"""From user choices to weights."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import multiprocessing
import os
from pathlib import Path
from typing import Any

from cvtk.config import set_data, set_image_size, set_model, set_schedule, walk
from cvtk.data.prepare import prepare_annotations
from cvtk.engine.weights import start_weights
from cvtk.errors import ModelError
from cvtk.plots import plot_stats


def find_config(model: str) -> Path:
    """The configuration file of an architecture: its name in MMDetection, or a path."""
    import mmdet

    folder = Path(mmdet.__file__).parent / ".mim" / "configs"
    found = [Path(model)] if model.endswith(".py") else [*folder.rglob(f"{model}.py")]
    if not found:
        raise ModelError(f"MMDetection has no model {model!r}. Try: mim search mmdet")
    return found[0]


def pick_device(device: str) -> str:
    """`auto` is the GPU where there is one."""
    import torch

    gpu = torch.cuda.is_available()
    if device.startswith("cuda") and not gpu:
        raise ModelError(f"--device {device}: PyTorch sees no GPU. Use --device cpu.")
    return device if device != "auto" else "cuda" if gpu else "cpu"


def build_config(options: dict[str, Any], classes: list[str]) -> Any:
    """The complete configuration: the architecture's own, fitted to data and choices."""
    from mmengine.config import Config

    file, task = find_config(options["model"]), options["task"]
    workspace = Path(options["output_weights"]).with_suffix("")
    cfg = Config.fromfile(file).to_dict()
    masks = any(part.get("with_mask") for part in walk(cfg["train_dataloader"]))
    if masks != (task == "segm"):
        kind = "masks: use --task segm" if masks else "boxes only: use --task det"
        raise ModelError(f"{file.stem} predicts {kind}.")
    names = {"train": "train", "val": "valid", "test": "test"}
    sets = {
        split: prepare_annotations(options[name], classes, workspace / f"{split}.json")
        for split, name in names.items()
        if options[name]
    }
    set_model(cfg["model"], len(classes), options["weights"])
    if options["image_size"]:
        set_image_size(cfg, options["image_size"])
    set_data(cfg, sets, options)
    images = len(json.loads(Path(sets["train"]["ann_file"]).read_text())["images"])
    steps = math.ceil(images / options["batch_size"])
    set_schedule(cfg, file.stem, {**options, "steps": steps})

    hooks = cfg["default_hooks"]
    hooks["checkpoint"] = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}
    hooks["logger"]["interval"] = 10
    cfg["log_processor"] = {"type": "LogProcessor", "window_size": 50, "by_epoch": True}
    # On Windows and macOS, "spawn": workers start from a fresh Python.
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
    cfg.update(work_dir=str(workspace), randomness={"seed": options["seed"]})
    cfg["load_from"] = start_weights(cfg["model"], file, options["weights"], workspace)
    return Config(cfg)


def train(cfg: Any, output_weights: Path, device: str) -> None:
    """Trains; leaves the weights, their configuration, the statistics and plots."""
    import torch
    from mmengine.runner import Runner

    from cvtk.engine.progress import Progress

    best, stats = Path(cfg.work_dir, "best.pth"), f"{cfg.work_dir}.train_stats"
    dataset = cfg.test_dataloader.dataset
    meta = {"dataset_meta": dataset.metainfo.to_dict(), **cfg.randomness}
    progress = Progress(stats, best, meta)
    with contextlib.redirect_stdout(io.StringIO()):  # the log is in the workspace
        runner = Runner.from_cfg(cfg)
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").addHandler(runner.logger.handlers[-1])
        runner.register_hook(progress)
        runner.model = runner.model.to(device)
        if device == "cpu":  # a third faster: no denormal numbers, channels innermost
            torch.set_flush_denormal(True)
            runner.model = runner.model.to(memory_format=torch.channels_last)
        runner.train()
    for table in Path(stats).parent.glob(f"{Path(stats).name}.*.txt"):
        plot_stats(table)
    cfg.dump(output_weights.with_suffix(".py"))
    os.replace(best, output_weights)
