"""User choices -> a complete MMEngine configuration, as plain dicts; imports nothing of mm*.

A configuration of MMDetection is made for COCO: 80 classes, 118,000 images, 8 GPUs. The
functions here fit it to the classes, the images, the epochs and the machine at hand.
Vanilla scripts carry the same functions as source text, so they stay short and plain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

# What a script and `model.train` use where the user says nothing. Stated here only.
DEFAULTS: dict[str, Any] = {
    "epoch": 24,
    "batch_size": 4,
    "num_workers": 2,
    "lr": None,
    "image_size": None,
    "device": "auto",
    "seed": 0,
    "weights": "coco",
    "score": 0.3,
    "infer_batch_size": 1,
}
MODELS: dict[str, str] = {
    "segm": "mask-rcnn_r101_fpn_1x_coco",
    "det": "faster-rcnn_r101_fpn_1x_coco",
}


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict inside a configuration, the outermost first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for item in node if isinstance(node, (list, tuple)) else ():
        yield from walk(item)


def set_model(model: dict[str, Any], num_classes: int, weights: str) -> None:
    """Sets the number of classes wherever the architecture keeps it, and the start."""
    for part in walk(model):
        if "num_classes" in part:
            part["num_classes"] = num_classes
        if "num_things_classes" in part:  # Mask2Former and its kin
            part.update(num_things_classes=num_classes, num_stuff_classes=0)
        if isinstance(part.get("class_weight"), list):  # one a class, then "nothing"
            part["class_weight"] = [1.0] * num_classes + part["class_weight"][-1:]
        if weights != "imagenet" and "init_cfg" in part:  # no download for nothing
            if (part["init_cfg"] or {}).get("type") == "Pretrained":
                part["init_cfg"] = None
        if weights == "none":  # what was never trained must not be frozen
            thawed = {"frozen_stages": -1, "norm_eval": False, "requires_grad": True}
            part.update({k: v for k, v in thawed.items() if k in part})


def set_image_size(cfg: dict[str, Any], size: int) -> None:
    """Scales all sizes in the pipelines alike, so that images end `size` pixels long."""

    def scaled(value: Any) -> Any:
        if isinstance(value[0], (list, tuple)):
            return [scaled(v) for v in value]
        # (1333, 800), "long at most 1333, short at most 800", becomes a square;
        # networks halve an image five times: 32 divides their sizes
        return (max(32, round(min(value) * size / base / 32) * 32),) * 2

    resize = (s for s in walk(cfg["test_dataloader"]) if "Resize" in s.get("type", ""))
    base = min(next(resize)["scale"])
    loaders = [cfg["train_dataloader"], cfg["test_dataloader"], cfg.get("custom_hooks")]
    for step in walk([*loaders, cfg["model"].get("data_preprocessor")]):
        for key in {"scale", "scales", "img_scale", "crop_size", "size"} & step.keys():
            if step[key]:
                step[key] = scaled(step[key])


def set_data(cfg: dict[str, Any], sets: dict[str, Any], options: dict[str, Any]) -> None:
    """Puts the user's images in the place of COCO; the pipelines stay as they are.

    Images without annotations are kept (no `filter_cfg`): they show what is background.
    """
    has_rle = any(data.pop("has_rle") for data in sets.values())
    metric = ["bbox", "segm"] if options["task"] == "segm" else ["bbox"]
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        # Repeated, balanced and joined sets become the one set; a mix of images stays.
        outer = loader["dataset"]
        inner = next(part for part in walk(outer) if "ann_file" in part)
        data = {"type": "CocoDataset", **sets.get(split, sets["train"])}
        data.update(pipeline=inner["pipeline"], test_mode=split != "train")
        if outer["type"] == "MultiImageMixDataset":
            data = {**outer, "dataset": data}
        loader.update(
            dataset=data,
            batch_size=options["batch_size"] if split == "train" else 1,
            num_workers=options["num_workers"],
            persistent_workers=options["num_workers"] > 0,
            sampler={"type": "DefaultSampler", "shuffle": split == "train"},
        )
        if split != "train":
            evaluator = {"type": "CocoMetric", "metric": metric}
            cfg[f"{split}_evaluator"] = {**evaluator, "ann_file": data["ann_file"]}
    cfg["test_pipeline"] = cfg["test_dataloader"]["dataset"]["pipeline"]
    if "val" not in sets:
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)
    for step in walk(cfg):
        if step.get("type") == "LoadAnnotations" and has_rle:
            step["poly2mask"] = True  # loaded as polygons, RLE masks would be ignored


def set_schedule(cfg: dict[str, Any], name: str, options: dict[str, Any]) -> None:
    """Fits the schedule, made for 118,000 images on 8 GPUs, to the steps there are."""
    epochs, steps = options["epoch"], options["epoch"] * options["steps"]
    gpus = re.search(r"(\d+)xb(\d+)", name)  # 8xb32: 8 GPUs with 32 images each
    batch = cfg.get("auto_scale_lr", {}).get("base_batch_size", 16)
    batch = int(gpus[1]) * int(gpus[2]) if gpus else batch
    old_epochs = cfg["train_cfg"].get("max_epochs")
    old_steps = cfg["train_cfg"].get("max_iters") or old_epochs * 117266 // batch
    old_epochs = old_epochs or old_steps * batch / 117266
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}

    # Batch and learning rate go together: linearly for SGD (arxiv.org/abs/1706.02677),
    # by the square root for Adam and its kin (arxiv.org/abs/2205.10287).
    optimizer = cfg["optim_wrapper"]["optimizer"]
    scale = options["batch_size"] / batch
    scale = scale if optimizer["type"] == "SGD" else math.sqrt(scale)
    scale = options["lr"] / optimizer["lr"] if options["lr"] else scale
    optimizer["lr"] = float(f"{optimizer['lr'] * scale:.4g}")

    schedulers = []
    for old in cfg.get("param_scheduler") or []:
        by_epoch = old.get("by_epoch", True)
        length = old_epochs if by_epoch else old_steps
        new = {k: v for k, v in old.items() if k != "convert_to_iter_based"}
        new.update(by_epoch=False, begin=old.get("begin", 0), end=old.get("end", length))
        if old["type"] == "LinearLR" and not by_epoch:  # warm-up
            new["end"] = min(new["end"], steps // 10)
        else:
            for key in {"begin", "end", "T_max", "step_size"} & new.keys():
                new[key] = min(steps, round(new[key] / length * steps))
        if "milestones" in new:
            new["milestones"] = [round(m / length * steps) for m in new["milestones"]]
        if "eta_min" in new:
            new["eta_min"] *= scale
        if new["begin"] < new["end"]:
            schedulers.append(new)
    cfg["param_scheduler"] = schedulers

    for hook in cfg.get("custom_hooks") or []:
        for key in {"switch_epoch", "num_last_epochs"} & hook.keys():
            hook[key] = round(hook[key] / old_epochs * epochs)
        if hook["type"] == "EMAHook":  # averages over the same share of the training
            hook["momentum"] = min(0.2, hook["momentum"] * old_steps / steps)
            if hook.get("ema_type") == "ExpMomentumEMA":
                hook["gamma"] = max(1, round(2000 * steps / old_steps))
