"""The complete configuration of a training."""

from __future__ import annotations

import inspect
import json
import multiprocessing
from pathlib import Path
from typing import Any

from cvtk.config import (
    change,
    set_data,
    set_image_size,
    set_keys,
    set_model,
    set_schedule,
)
from cvtk.engine.batch import fit_batch
from cvtk.errors import ModelError


def build_config(model: str, classes: list[str], options: dict[str, Any]) -> Any:
    """The complete configuration: the architecture's own, fitted to data and choices."""
    import mmdet
    import torch
    from mmengine import dist
    from mmengine.config import Config
    from mmengine.runner import Runner

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    file = next((p for p in configs.rglob("*.py") if p.stem == model), Path(model))
    if not file.is_file():
        raise ModelError(f"MMDetection has no {model!r}, and there is no such file.")
    if options["batch_size"] == "auto":
        if dist.get_world_size() > 1:
            raise ModelError("--batch_size auto is for one process: give a number.")
        trial = build_config(model, classes, {**options, "batch_size": 4})
        most = fit_batch(trial) if options["device"] != "cpu" else 4
        options = {**options, "batch_size": most}
    cfg = Config.fromfile(file).to_dict()
    # the rest are variables that these were made from: to set them would do nothing
    used = {*inspect.signature(Runner).parameters, "find_unused_parameters"}
    cfg = {key: cfg[key] for key in cfg if key in used | {"custom_imports"}}
    workspace = Path(options["output_weights"]).with_suffix("").resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    cfg.update(work_dir=str(workspace), randomness={"seed": options["seed"]})
    set_model(cfg["model"], len(classes), options["weights"])
    if options["image_size"]:
        set_image_size(cfg, options["image_size"])
    set_data(cfg, classes, options)
    coco = json.loads((workspace / "used_train.json").read_text())
    if any(isinstance(a.get("segmentation"), dict) for a in coco["annotations"]):
        change(cfg, poly2mask=True)  # loaded as polygons, RLE would be ignored
    batch = options["batch_size"] * dist.get_world_size()
    steps = -(-len(coco["images"]) // batch)
    sizes = {"steps": steps, "images_a_step": batch * options["accumulate"]}
    set_schedule(cfg, file.stem, {**options, **sizes})

    cfg["optim_wrapper"]["accumulative_counts"] = options["accumulate"]
    if options["amp"] and options["device"] != "cpu":
        kind = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        cfg["optim_wrapper"].update(type="AmpOptimWrapper", dtype=kind)
    if options["tensorboard"]:
        cfg["visualizer"]["vis_backends"].append({"type": "TensorboardVisBackend"})
    hooks, best = cfg["default_hooks"], cfg["test_evaluator"]["metric"][-1]
    keep = {"type": "CheckpointHook", "interval": 1, "save_best": f"coco/{best}_mAP"}
    hooks["checkpoint"] = {**keep, "max_keep_ckpts": 2}  # one is whole at any time
    if options["early_stop"] and not options["valid"]:
        raise ModelError("--early_stop needs --valid, to know which epoch is better.")
    # the last line of an epoch in the log tells the means of the epoch
    hooks["logger"] = {"type": "LoggerHook", "interval": 50, "ignore_last": False}
    means = {"window_size": steps, "mean_pattern": "^(?!coco)"}
    cfg["log_processor"] = {"type": "LogProcessor", **means}
    # "spawn" on Windows and macOS: worker processes start from a fresh Python
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
    if dist.get_world_size() > 1:
        cfg["launcher"] = "pytorch"
        if options["device"] == "cpu":  # where there is no SyncBN
            cfg["model_wrapper_cfg"] = {
                "type": "MMDistributedDataParallel",
                "device_ids": None,
                "broadcast_buffers": False,
                "find_unused_parameters": cfg.get("find_unused_parameters", False),
            }
            change(cfg["model"], type=lambda old: "BN" if "SyncBN" in str(old) else old)
            if "RTMDet" in cfg["model"]["type"]:
                cfg["model"]["use_syncbn"] = False
    cfg["resume"] = options["resume"] and (workspace / "last_checkpoint").is_file()
    set_keys(cfg, options["set"])
    return Config(cfg, filename=str(file))
