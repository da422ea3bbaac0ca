"""User choices -> a complete MMEngine configuration, as plain dicts; imports nothing of mm*.

A configuration of MMDetection is made for COCO: 80 classes, 118,000 images, 8 GPUs. The
functions here fit it to the classes, the images, the epochs and the machine at hand.
Vanilla scripts carry the same functions as source text, so they stay short and plain.
"""

from __future__ import annotations

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
    thawed = {"frozen_stages": -1, "norm_eval": False, "requires_grad": True}
    for part in walk(model):
        if "num_classes" in part:
            part["num_classes"] = num_classes
        if "num_things_classes" in part:  # Mask2Former and its kin
            part.update(num_things_classes=num_classes, num_stuff_classes=0)
        if isinstance(part.get("class_weight"), list):  # one a class, then "nothing"
            part["class_weight"] = [1.0] * num_classes + part["class_weight"][-1:]
        if weights != "imagenet" and "Pretrained" in str(part.get("init_cfg")):
            part["init_cfg"] = None  # all weights come from elsewhere
        if weights == "none":  # what was never trained must not be frozen
            part.update({key: thawed[key] for key in thawed.keys() & part.keys()})


def set_image_size(cfg: dict[str, Any], size: int) -> None:
    """Scales all sizes in the pipelines, so that the one of the test images is `size`."""
    test = [s for s in walk(cfg["test_dataloader"]) if "Resize" in str(s.get("type"))]
    factor = size / min(test[0]["scale"]) / 32  # networks halve images five times

    def fit(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(fit, value))
        return 32 * max(1, round(value * factor))

    pipelines = [cfg[k] for k in cfg if k.endswith(("loader", "pipeline", "hooks"))]
    for step in walk([*pipelines, cfg["model"].get("data_preprocessor")]):
        for key in {"scale", "scales", "img_scale", "crop_size", "size"} & step.keys():
            step[key] = fit(step[key]) if step[key] else step[key]


def set_data(
    cfg: dict[str, Any], sets: dict[str, Any], options: dict[str, Any]
) -> None:
    """Puts the user's images in the place of COCO; the pipelines stay as they are."""
    metric = ["bbox", "segm"] if options["task"] == "segm" else ["bbox"]
    workers = options["num_workers"]
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        # Repeated, balanced, joined sets become the one set; a mix of images stays.
        old = loader["dataset"]
        inner = next(part for part in walk(old) if "ann_file" in part)
        data = {"type": "CocoDataset", **sets.get(split, sets["train"])}
        data.update(pipeline=inner["pipeline"], test_mode=split != "train")
        mix = old["type"] == "MultiImageMixDataset"
        loader["dataset"] = {**old, "dataset": data} if mix else data
        loader["batch_size"] = options["batch_size"] if split == "train" else 1
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": split == "train"}
        loader.update(num_workers=workers, persistent_workers=workers > 0)
        metrics = {"type": "CocoMetric", "ann_file": data["ann_file"], "metric": metric}
        cfg.update({f"{split}_evaluator": metrics} if split != "train" else {})
    if "val" not in sets:
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)


def set_schedule(cfg: dict[str, Any], name: str, options: dict[str, Any]) -> None:
    """Fits the schedule, made for 118,000 images on 8 GPUs, to the steps there are."""
    epochs, steps = options["epoch"], options["epoch"] * options["steps"]
    gpus = re.search(r"(\d+)xb(\d+)", name)  # 8xb32: 8 GPUs with 32 images each
    batch = cfg.get("auto_scale_lr", {}).get("base_batch_size", 16)
    batch = int(gpus[1]) * int(gpus[2]) if gpus else batch
    loop = {"max_epochs": 12, **cfg["train_cfg"]}
    old_steps = loop.get("max_iters") or loop["max_epochs"] * 117266 // batch
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}

    # Batch and learning rate go together: linearly for SGD (arxiv.org/abs/1706.02677),
    # by the square root for Adam and its kin (arxiv.org/abs/2205.10287).
    optimizer = cfg["optim_wrapper"]["optimizer"]
    scale = options["batch_size"] / batch
    if optimizer["type"] != "SGD":  # and twice that where nothing learned can be lost
        scale = scale**0.5 * (2 if options["weights"] == "none" else 1)
    scale = options["lr"] / optimizer["lr"] if options["lr"] else scale
    optimizer["lr"] = float(f"{optimizer['lr'] * scale:.4g}")

    # What is counted in epochs or steps moves in proportion.
    keys = {"begin", "end", "T_max", "step_size", "milestones"}
    keys |= {"switch_epoch", "num_last_epochs"}
    for part in walk([cfg.get("param_scheduler"), cfg.get("custom_hooks")]):
        share = epochs / loop["max_epochs"]
        if not part.get("by_epoch", True):  # the warm-up takes a tenth at most
            short = part["type"] == "LinearLR"
            share = min(1, steps / 10 / part["end"]) if short else steps / old_steps
        for key in keys & part.keys():
            old = part[key] if isinstance(part[key], list) else [part[key]]
            new = [max(1, round(n * share)) if n else 0 for n in old]
            part[key] = new if isinstance(part[key], list) else new[0]
        if "eta_min" in part:
            part["eta_min"] *= scale
        if part.get("type") == "EMAHook":  # averages over the same share of the steps
            part["momentum"] = min(0.2, part["momentum"] * old_steps / steps)
        if part.get("ema_type") == "ExpMomentumEMA":
            part["gamma"] = max(1, round(2000 * steps / old_steps))
        if "switch_epoch" in part and steps < 5000:  # mosaic pays in long trainings
            part["switch_epoch"] = 0
    rates = [s for s in walk(cfg.get("param_scheduler")) if "type" in s]
    # one without a step to go is left out
    cfg["param_scheduler"] = [s for s in rates if s.get("end", 9) > max(1, s["begin"])]
