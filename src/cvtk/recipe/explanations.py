"""What was changed in an architecture's own recipe, in sentences for the log."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from cvtk.config import walk


def decisions(
    old: dict[str, Any], new: dict[str, Any], options: dict[str, Any]
) -> list[str]:
    """Compares the architecture's own configuration with the fitted one.

    Args:
        old: As MMDetection has it.
        new: As it will train.
        options: The user's choices.

    Returns:
        A sentence for each change of the schedule, the data and the start.
    """
    epochs, steps = options["epoch"], new["log_processor"]["window_size"]
    notes = [f"{epochs} epochs of {steps} steps, {epochs * steps} steps in all."]
    images = new["train_dataloader"]["batch_size"] * options["accumulate"]
    images *= options["processes"]
    rates = [c["optim_wrapper"]["optimizer"]["lr"] for c in (old, new)]
    if options["lr"]:
        notes.append(f"Learning rate {rates[1]:g}, as asked for.")
    else:
        kind = new["optim_wrapper"]["optimizer"]["type"]
        rule = "in proportion to" if kind == "SGD" else "with the square root of"
        scratch = options["weights"] == "none" and kind != "SGD"
        notes.append(
            f"Learning rate {rates[1]:g} instead of {rates[0]:g}: changed {rule} the batch"
            f" of {images}{', and doubled to train from scratch' if scratch else ''}."
        )
    notes += _schedule(old, new)
    for before, after in zip(_hooks(old), _hooks(new), strict=False):
        if "switch_epoch" in after:
            notes.append(
                f"The pipeline of the last epochs is used from epoch {after['switch_epoch'] + 1} on"
                f" (of {epochs}), not after epoch {before['switch_epoch']}."
            )
        if "num_last_epochs" in after:
            notes.append(
                f"Mosaic ends {after['num_last_epochs']} epochs before the end."
            )
        if after["type"] == "EMAHook":
            notes.append(
                f"The average of the weights moves by {after['momentum']:.2g} a step,"
                f" not {before['momentum']:g}."
            )
    frozen = [p.get("frozen_stages", -1) for p in walk(old["model"])]
    if options["weights"] == "none" and max(frozen) >= 0:
        notes.append("No layer is frozen, since none is trained yet.")
    if sum(bool(p.get("poly2mask", True)) for p in walk(new)) > sum(
        bool(p.get("poly2mask", True)) for p in walk(old)
    ):
        notes.append("Masks are loaded as bitmaps, since some are RLE.")
    if options["image_size"]:
        notes.append(
            f"All sizes were scaled for images of {options['image_size']} pixels."
        )
    return notes


def crowded(cfg: dict[str, Any], files: list[str]) -> list[str]:
    """Says where images hold more objects than the model returns.

    Args:
        cfg: The complete configuration.
        files: COCO files, as they were prepared for training.

    Returns:
        A sentence for each file with such an image.
    """
    test = dict(cfg["model"].get("test_cfg") or {})
    key = "rcnn.max_per_img" if "rcnn" in test else "max_per_img"
    most = test.get("rcnn", test).get("max_per_img")
    notes = []
    for file in files if most else []:
        coco = json.loads(Path(file).read_text())
        counts = Counter(item["image_id"] for item in coco["annotations"])
        number, objects = max(counts.items(), key=lambda c: c[1], default=(None, 0))
        if objects > most:
            names = {image["id"]: image["file_name"] for image in coco["images"]}
            notes.append(
                f"Note: {names[number]!r} has {objects} objects, and the model returns {most} at"
                f" most: --set model.test_cfg.{key}={objects * 2} raises that."
            )
    return notes


def _hooks(cfg: dict[str, Any]) -> list[dict[str, Any]]:
    return list(cfg.get("custom_hooks") or [])


def _schedule(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    notes = []
    for part in walk(new["param_scheduler"]):
        if part["type"] == "LinearLR" and not part.get("by_epoch", True):
            notes.append(f"Warm-up of {part['end']} steps.")
        elif part["type"] == "MultiStepLR":
            unit = "epochs" if part.get("by_epoch", True) else "steps"
            falls = ", ".join(map(str, part["milestones"]))
            notes.append(f"The learning rate falls after {falls} {unit}.")
        elif "T_max" in part:
            notes.append(
                f"The learning rate falls along a cosine from epoch {part['begin']} on."
            )
    return notes
