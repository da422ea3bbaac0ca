"""User choices -> a complete MMEngine configuration, as plain dicts; imports nothing of mm*.

A configuration of MMDetection is made for COCO: 80 classes, 118,000 images, 8 GPUs. The
functions here fit it to the classes, the images, the epochs and the machine at hand.
A vanilla script does the same in its `build_config`; tests/scripts/test_parity.py compares
what the two give.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cvtk.data.prepare import prepare_annotations
from cvtk.errors import ModelError

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
    "resume": False,
    "early_stop": None,
    "amp": False,
    "accumulate": 1,
    "tensorboard": False,
    "set": [],
    "print_config": False,
    "trust_weights": False,
    "score": 0.3,
    "infer_batch_size": 1,
}
# The same for what few people change: at the head of a script, and in `Model.train`.
SETTINGS: dict[str, Any] = {"save_every": 1, "log_every": 50, "metric": "coco"}
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


def change(node: Any, **new: Any) -> None:
    """Sets keys wherever a configuration has them: a value, or a function of the old."""
    for part in walk(node):
        for key in new.keys() & part.keys():
            part[key] = new[key](part[key]) if callable(new[key]) else new[key]


def set_model(model: dict[str, Any], classes: int, weights: str) -> None:
    """Sets the number of classes wherever the architecture keeps it, and the start."""
    change(model, num_classes=classes, num_things_classes=classes, num_stuff_classes=0)
    each = [1.0] * classes  # where it is a list, and after it the weight of "nothing"
    change(model, class_weight=lambda w: each + w[-1:] if isinstance(w, list) else w)
    if weights != "imagenet":  # then all weights come from elsewhere
        change(model, init_cfg=lambda old: None if "Pretrained" in str(old) else old)
    if weights == "none":  # what was never trained must not be frozen
        for part in walk(model):
            if part.get("type") in ("HRNet", "Darknet", "ResNet", "RegNet", "Res2Net"):
                part.setdefault("norm_eval", True)  # which is what they do unasked
        change(model, frozen_stages=-1, norm_eval=False, requires_grad=True)


def set_image_size(cfg: dict[str, Any], size: int) -> None:
    """Scales all sizes in the pipelines, so that the one of the test images is `size`.

    Raises:
        ModelError: The test images have no size: they stay as large as they are.
    """
    sizes = [s["scale"] for s in walk(cfg["test_dataloader"]) if "scale" in s]
    if not sizes:
        raise ModelError(
            "--image_size: this architecture takes images as large as they are.",
            "Leave it out.",
        )
    factor = size / min(sizes[0]) / 32

    def fit(old: Any) -> Any:  # to multiples of 32: networks halve images five times
        if isinstance(old, (list, tuple)):
            return type(old)(map(fit, old))
        return 32 * max(1, round(old * factor)) if old else old

    parts = [cfg[key] for key in cfg if key.endswith(("loader", "pipeline", "hooks"))]
    parts.append(cfg["model"].get("data_preprocessor"))
    change(parts, scale=fit, scales=fit, img_scale=fit, crop_size=fit, size=fit)


def set_data(cfg: dict[str, Any], classes: list[str], options: dict[str, Any]) -> None:
    """Puts the user's images in the place of COCO; the pipelines stay as they are."""
    metric = ["bbox", "segm"] if options["task"] == "segm" else ["bbox"]
    workers = options["num_workers"]
    for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        if options[name]:  # else the set before takes the place
            target = Path(cfg["work_dir"], f"used_{name}.json")
            data = prepare_annotations(options[name], classes, target)
        # Repeated, balanced, joined sets become the one set; a mix of images stays.
        loader = cfg[f"{split}_dataloader"]
        old = loader["dataset"]
        inner = next(part for part in walk(old) if "ann_file" in part)
        new = {"type": "CocoDataset", "test_mode": split != "train", **data}
        new["pipeline"] = inner["pipeline"]
        mix = old["type"] == "MultiImageMixDataset"
        loader["dataset"] = {**old, "dataset": new} if mix else new
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": split == "train"}
        loader["batch_size"] = options["batch_size"] if split == "train" else 1
        loader.update(num_workers=workers, persistent_workers=workers > 0)
        score = {"type": "CocoMetric", "ann_file": data["ann_file"], "metric": metric}
        cfg.update({f"{split}_evaluator": score} if split != "train" else {})
    if not options["valid"]:
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)


def set_schedule(cfg: dict[str, Any], name: str, options: dict[str, Any]) -> None:
    """Fits the schedule, made for 118,000 images on 8 GPUs, to the steps there are."""
    gpus = re.search(r"(\d+)xb(\d+)", name)  # 8xb32: 8 GPUs with 32 images each
    batch = cfg.get("auto_scale_lr", {}).get("base_batch_size", 16)
    batch = int(gpus[1]) * int(gpus[2]) if gpus else batch
    loop = {"max_epochs": 12, **cfg["train_cfg"]}
    old_steps = loop.get("max_iters") or loop["max_epochs"] * 117266 // batch
    epochs, steps = options["epoch"], options["epoch"] * options["steps"]
    cfg["train_cfg"] = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}

    # Batch and learning rate go together: linearly for SGD (arxiv.org/abs/1706.02677),
    # by the square root for Adam and its kin (arxiv.org/abs/2205.10287).
    optimizer = cfg["optim_wrapper"]["optimizer"]
    scale = options["images_a_step"] / batch
    if optimizer["type"] != "SGD":  # and twice that where nothing learned can be lost
        scale = scale**0.5 * (2 if options["weights"] == "none" else 1)
    scale = options["lr"] / optimizer["lr"] if options["lr"] else scale
    optimizer["lr"] = float(f"{optimizer['lr'] * scale:.4g}")

    # What is counted in epochs or steps moves in proportion.
    moved = {"begin", "end", "T_max", "step_size", "milestones"}
    moved |= {"switch_epoch", "num_last_epochs"}
    rates = [s for s in walk(cfg.get("param_scheduler")) if "type" in s]
    for part in walk([rates, cfg.get("custom_hooks")]):
        share = epochs / loop["max_epochs"]
        if not part.get("by_epoch", True):  # the warm-up takes a tenth at most
            short = part["type"] == "LinearLR"
            share = min(1, steps / 10 / part["end"]) if short else steps / old_steps
        for key in moved & part.keys():
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
    # one without a step to go is left out
    cfg["param_scheduler"] = [
        s for s in rates if s.get("end", 9) > max(1, s.get("begin", 0))
    ]


def set_settings(
    cfg: Any,
    frozen_stages: int | None = None,
    warmup: int | None = None,
    decay_epochs: Sequence[int] | None = None,
    decay_factor: float | None = None,
    save_every: int = SETTINGS["save_every"],
    log_every: int = SETTINGS["log_every"],
    metric: str = SETTINGS["metric"],
) -> None:
    """Changes what few people change in a fitted configuration; see `Model.train`.

    Raises:
        ModelError: There is no such metric.
    """
    if frozen_stages is not None:
        cfg["model"]["backbone"]["frozen_stages"] = frozen_stages
    rates = list(cfg["param_scheduler"])
    if decay_epochs is not None:
        falls = {"milestones": list(decay_epochs), "gamma": decay_factor or 0.1}
        rates = [rate for rate in rates if rate["type"] == "LinearLR"]
        rates.append({"type": "MultiStepLR", "by_epoch": True, **falls})
    elif decay_factor is not None:
        change([rate for rate in rates if "milestones" in rate], gamma=decay_factor)
    if warmup is not None:
        old = [
            r for r in rates if r["type"] == "LinearLR" and not r.get("by_epoch", True)
        ]
        rises = old[0] if old else {"type": "LinearLR", "start_factor": 0.001}
        rates = [rate for rate in rates if rate not in old]
        if warmup:
            rates.insert(0, {**rises, "by_epoch": False, "begin": 0, "end": warmup})
    cfg["param_scheduler"] = rates
    hooks = cfg["default_hooks"]
    hooks["checkpoint"]["interval"] = save_every
    hooks["logger"]["interval"] = log_every
    ending = {"coco": "", "voc": "_50"}
    if metric not in ending:
        raise ModelError(f"There is no metric {metric!r}.", "Use coco or voc.")
    hooks["checkpoint"]["save_best"] += ending[metric]


def set_keys(cfg: Any, pairs: list[str]) -> None:
    """Sets any key, as in "optim_wrapper.optimizer.lr=0.01"; "+KEY=VALUE" adds one."""
    from mmengine.config import DictAction

    for pair in pairs:
        path, _, value = pair.removeprefix("+").partition("=")
        if "=" not in pair:
            raise ModelError(f"--set {pair}: write KEY=VALUE.")
        node = cfg
        for name in path.split("."):
            if pair[0] == "+" and isinstance(node, dict) and node.get(name) is None:
                node[name] = {}
            known = dict(enumerate(node)) if isinstance(node, list) else node
            keys = {str(key): key for key in known} if isinstance(known, dict) else {}
            if name not in keys:
                near = difflib.get_close_matches(name, keys, 1, 0) or ["nothing"]
                raise ModelError(f"--set {pair}: no {name!r}; nearest is {near[0]!r}.")
            parent, key, node = node, keys[name], known[keys[name]]
        parent[key] = DictAction._parse_iterable(value)
