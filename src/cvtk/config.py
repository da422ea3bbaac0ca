"""User choices -> a complete MMEngine configuration, as plain dicts; imports nothing of mm*.

A configuration of MMDetection is made for COCO: 80 classes, 118,000 images, 8 GPUs. These
functions fit it to the classes, the images, the epochs and the machine at hand, and return
what they decided as sentences for the log. Vanilla scripts carry them as source text.
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
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from walk(item)


def set_model(cfg: dict[str, Any], num_classes: int, weights: str, processes: int) -> None:
    """Sets the number of classes wherever the architecture keeps it, and the start."""
    for part in walk(cfg["model"]):
        if "num_classes" in part:
            part["num_classes"] = num_classes
        if "num_things_classes" in part:  # Mask2Former and its kin
            part.update(num_things_classes=num_classes, num_stuff_classes=0)
        if isinstance(part.get("class_weight"), list):  # one each, and "no object"
            first, *_, last = part["class_weight"]
            part["class_weight"] = [first] * num_classes + [last]
        if part.get("type") in ("SyncBN", "MMSyncBN") and processes == 1:
            part["type"] = "BN"
        if weights != "imagenet":  # all weights come from elsewhere: no download
            if (part.get("init_cfg") or {}).get("type") == "Pretrained":
                part["init_cfg"] = None
        if weights == "none":  # what was never trained must not be frozen
            if "frozen_stages" in part:
                part["frozen_stages"] = -1
            if "norm_eval" in part:
                part["norm_eval"] = False
            if "norm_cfg" in part and part["norm_cfg"]:
                part["norm_cfg"]["requires_grad"] = True


def set_image_size(cfg: dict[str, Any], size: int) -> None:
    """Scales every size of the pipelines so that images are about `size` pixels long."""
    keys = ("scale", "scales", "img_scale", "crop_size", "size", "random_size_range")

    def scaled(value: Any, base: int) -> Any:
        if isinstance(value, (int, float)):
            return max(32, round(value * size / base / 32) * 32)
        if all(isinstance(v, (int, float)) for v in value):
            # (1333, 800), "long at most 1333, short at most 800", becomes a square
            return (scaled(min(value), base),) * 2
        return [scaled(v, base) for v in value]

    def sizes(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
        for step in walk(node):
            for key in keys:
                if isinstance(step.get(key), (list, tuple)) and "type" in step:
                    yield step, key

    def shortest(value: Any) -> int:
        nested = isinstance(value[0], (list, tuple))
        return max(min(v) for v in value) if nested else min(value)

    train = [cfg["train_dataloader"], cfg.get("custom_hooks"), cfg["model"]]
    train.append(train.pop(2).get("data_preprocessor"))
    for pipeline in (train, cfg["test_dataloader"]):
        found = list(sizes(pipeline))
        # The size that the network sees: of a crop or a pad where there is one.
        last = [shortest(s[k]) for s, k in found if k in ("crop_size", "size")]
        base = max(last or [shortest(s[k]) for s, k in found], default=size)
        for step, key in found:
            if key == "random_size_range":
                low, high = step[key]
                step[key] = (scaled(low, base), scaled(high, base))
            else:
                step[key] = scaled(step[key], base)


def set_schedule(
    cfg: dict[str, Any],
    name: str,
    epochs: int,
    steps: int,
    batch_size: int,
    lr: float | None,
) -> list[str]:
    """Fits a schedule made for COCO to `epochs` of `steps` steps; says what it did."""
    notes = []
    loop, total = cfg["train_cfg"], epochs * steps
    coco_epochs, coco_steps = loop.get("max_epochs"), loop.get("max_iters")
    # 8xb32 in a name: 8 GPUs with 32 images each
    gpus = re.search(r"(\d+)xb(\d+)", name)
    batch = cfg.get("auto_scale_lr", {}).get("base_batch_size", 16)
    batch = int(gpus[1]) * int(gpus[2]) if gpus else batch
    coco_steps = coco_steps or coco_epochs * 117266 // batch
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
    cfg["train_cfg"]["val_interval"] = 1

    optimizer = cfg["optim_wrapper"]["optimizer"]
    old_lr = optimizer["lr"]
    ratio, rule = batch_size / batch, "linear"
    if "SGD" not in optimizer["type"]:  # arxiv.org/abs/2205.10287
        ratio, rule = math.sqrt(ratio), "square root"
    optimizer["lr"] = lr or float(f"{old_lr * ratio:.3g}")
    notes.append(
        f"learning rate {optimizer['lr']:g}, as given"
        if lr
        else f"learning rate {old_lr:g} for batches of {batch} became "
        f"{optimizer['lr']:g} for batches of {batch_size} ({rule} scaling)"
    )

    def fit(value: float, by_epoch: bool) -> int:
        whole = coco_epochs if by_epoch and coco_epochs else coco_steps
        return min(total, round(value / whole * total))

    schedulers = []
    for old in cfg.get("param_scheduler") or []:
        by_epoch = old.get("by_epoch", True)
        new = {**old, "by_epoch": False}
        new.pop("convert_to_iter_based", None)
        begin, end = old.get("begin", 0), old.get("end")
        if not by_epoch and not begin and "milestones" not in old and (end or 0) < 9999:
            new["end"] = min(end, total // 10)
            notes.append(f"warm-up of {new['end']} steps instead of {end}")
        else:
            new["begin"] = fit(begin, by_epoch)
            new["end"] = fit(end, by_epoch) if end else total
            for key in ("T_max", "step_size", "total_steps"):
                if key in old:
                    new[key] = max(1, fit(old[key], by_epoch))
            if "milestones" in old:
                new["milestones"] = [fit(m, by_epoch) for m in old["milestones"]]
                notes.append(f"learning rate falls after steps {new['milestones']}")
            if "eta_min" in old:
                new["eta_min"] = old["eta_min"] * optimizer["lr"] / old_lr
        if new["begin"] < new["end"]:
            schedulers.append(new)
    cfg["param_scheduler"] = schedulers

    for hook in cfg.get("custom_hooks") or []:
        if hook["type"] == "PipelineSwitchHook":
            switch = hook["switch_epoch"] / (coco_epochs or epochs)
            hook["switch_epoch"] = round(switch * epochs)
            notes.append(f"strong augmentation ends at epoch {hook['switch_epoch']}")
        if hook["type"] == "YOLOXModeSwitchHook":
            last = hook.get("num_last_epochs", 15) / coco_epochs
            hook["num_last_epochs"] = max(1, round(last * epochs))
            notes.append(f"mosaic is off in the last {hook['num_last_epochs']} epochs")
        if hook["type"] == "EMAHook":  # averages over the same share of the training
            old_momentum = hook.get("momentum", 0.0002)
            hook["momentum"] = min(0.2, old_momentum * coco_steps / total)
            if hook.get("ema_type") == "ExpMomentumEMA":
                hook["gamma"] = max(1, round(hook.get("gamma", 2000) * total / coco_steps))
            notes.append(f"EMA momentum {hook['momentum']:.2g}, not {old_momentum:g}")
    return notes


def set_data(
    cfg: dict[str, Any],
    sets: dict[str, dict[str, Any]],
    task: str,
    batch_size: int,
    num_workers: int,
) -> None:
    """Puts the user's images in place of COCO; the pipelines stay as they are.

    Each set is a dict of `file`, `folder`, `classes`, `category_ids`, `has_rle`.
    """

    def dataset(data: dict[str, Any], pipeline: list[Any]) -> dict[str, Any]:
        for step in walk(pipeline):
            if step.get("type") == "LoadAnnotations" and data["has_rle"]:
                step["poly2mask"] = True  # with polygons alone, RLE would be ignored
            step.pop("backend_args", None)
        return {
            "type": "CocoDataset",
            "ann_file": data["file"],
            "data_prefix": {"img": data["folder"]},
            "metainfo": {k: data[k] for k in ("classes", "category_ids")},
            "pipeline": pipeline,
        }  # no filter_cfg: images without annotations stay, as negatives

    # Repeated, balanced and joined COCO sets become the one set; a mix stays a mix.
    inner, mix = cfg["train_dataloader"]["dataset"], None
    while "dataset" in inner or "datasets" in inner:
        mix = inner if inner["type"] == "MultiImageMixDataset" else mix
        inner = inner["dataset"] if "dataset" in inner else inner["datasets"][0]
    train = dataset(sets["train"], inner["pipeline"])
    for hook in cfg.get("custom_hooks") or []:
        dataset(sets["train"], hook.get("switch_pipeline", []))
    loader = cfg["train_dataloader"]
    cfg["train_dataloader"] = {
        "batch_size": batch_size,
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_sampler": loader.get("batch_sampler"),
        "dataset": {**mix, "dataset": train} if mix else train,
    }
    pipeline = cfg["test_dataloader"]["dataset"]
    while "pipeline" not in pipeline:
        pipeline = pipeline["dataset"] if "dataset" in pipeline else pipeline["datasets"][0]
    cfg["test_pipeline"] = pipeline["pipeline"]
    for split in ("val", "test"):
        # The pipeline of inference is read from test_dataloader, so that one is always there.
        data = sets.get(split) or (sets["train"] if split == "test" else None)
        cfg[f"{split}_dataloader"] = data and {
            "batch_size": 1,
            "num_workers": num_workers,
            "persistent_workers": num_workers > 0,
            "drop_last": False,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": {**dataset(data, cfg["test_pipeline"]), "test_mode": True},
        }
        metric = ["bbox", "segm"] if task == "segm" else ["bbox"]
        cfg[f"{split}_evaluator"] = data and {
            "type": "CocoMetric",
            "ann_file": data["file"],
            "metric": metric,
        }
        cfg[f"{split}_cfg"] = data and {"type": f"{split.title()}Loop"}
