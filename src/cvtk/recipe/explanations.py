"""What was changed in an architecture's own configuration, in sentences for the log."""

from __future__ import annotations

from typing import Any

from cvtk.options import TrainOptions
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.sizes import predicted_size


def explain(
    old: dict[str, Any], new: dict[str, Any], options: TrainOptions, processes: int
) -> list[str]:
    """Compares the architecture's own configuration with the fitted one.

    Args:
        old: As MMDetection has it; a copy, since fitting changes its parts.
        new: As it will be trained.
        options: The user's choices.
        processes: Processes that train together, each with a batch of its own.

    Returns:
        A sentence for each change of the schedule, the data and the start.
    """
    epochs, steps = options.epoch, new["log_processor"]["window_size"]
    length = f"{_count(epochs, 'epoch')} of {_count(steps, 'step')}"
    notes = [f"{length}: {_count(epochs * steps, 'step')} in all."]
    images = new["train_dataloader"]["batch_size"] * options.accumulate * processes
    notes.append(_learning_rate(old, new, options, images))
    for scheduler in each_dict(new["param_scheduler"]):
        notes += _scheduler(scheduler)
    hooks = zip(_hooks(old), _hooks(new), strict=False)
    for before, after in hooks:
        notes += _hook(before, after, epochs)
    frozen = [part.get("frozen_stages") for part in each_dict(old["model"])]
    if options.weights == "none" and any(f is not None and f >= 0 for f in frozen):
        notes.append("No layer is frozen, since none has been trained yet.")
    if _bitmap_loaders(new) > _bitmap_loaders(old):
        notes.append("Masks are loaded as bitmaps, since some of them are RLE.")
    if options.balance:
        notes.append("Images with rare classes are seen more often, and others less.")
    if options.image_size:
        notes.append(f"All sizes are scaled for images of {options.image_size} pixels.")
        predicted = predicted_size(new)
        if predicted and min(predicted) > options.image_size:
            notes.append(
                f"Images are predicted at {min(predicted)} pixels, where the network finds more."
            )
    return notes


def crowding_notes(cfg: dict[str, Any], most: dict[str, tuple[str, int]]) -> list[str]:
    """Says where images hold more objects than the model returns.

    Args:
        cfg: The complete configuration.
        most: For each split, the file name of the image with the most objects, and how many these are.

    Returns:
        A sentence for each split with such an image.
    """
    key, limit = object_limit(cfg["model"])
    return [
        f"Note: {file_name!r} ({split}) has {objects} objects, but the model returns at most"
        f" {limit} per image. To raise that: --set model.test_cfg.{key}={2 * objects}"
        for split, (file_name, objects) in most.items()
        if limit and objects > limit
    ]


def object_limit(model: dict[str, Any]) -> tuple[str, int | None]:
    """The most objects that a model returns for one image (None: any number), after its key in `test_cfg`."""
    test = model.get("test_cfg") or {}
    key = "rcnn.max_per_img" if "rcnn" in test else "max_per_img"
    return key, test.get("rcnn", test).get("max_per_img")


def _learning_rate(
    old: dict[str, Any], new: dict[str, Any], options: TrainOptions, images: int
) -> str:
    own, rate = (cfg["optim_wrapper"]["optimizer"]["lr"] for cfg in (old, new))
    if options.lr is not None:
        return f"Learning rate {rate:g}, as asked for."
    is_sgd = new["optim_wrapper"]["optimizer"]["type"] == "SGD"
    rule = "in proportion to" if is_sgd else "with the square root of"
    doubled = ""
    if options.weights == "none" and not is_sgd:
        doubled = ", and doubled to train from scratch"
    return (
        f"Learning rate {rate:g} instead of {own:g}: changed {rule} the batch,"
        f" which is {_count(images, 'image')} per step{doubled}."
    )


def _scheduler(scheduler: dict[str, Any]) -> list[str]:
    kind, by_epoch = scheduler.get("type"), scheduler.get("by_epoch", True)
    unit = "epoch" if by_epoch else "step"
    if kind == "LinearLR" and not by_epoch and scheduler.get("end"):
        return [f"Warm-up over {_count(scheduler['end'], 'step')}."]
    if kind == "MultiStepLR" and scheduler.get("milestones"):
        *rest, last = scheduler["milestones"]
        falls = f"{unit} {last}"
        if rest:
            falls = f"{unit}s {', '.join(map(str, rest))} and {last}"
        return [f"The learning rate falls after {falls}."]
    if "T_max" in scheduler:
        start = scheduler.get("begin", 0)
        since = f"after {unit} {start}" if start else "from the start"
        return [f"The learning rate falls along a cosine {since}."]
    return []


def _hook(before: dict[str, Any], after: dict[str, Any], epochs: int) -> list[str]:
    if before.get("type") != after.get("type"):
        return []
    if "switch_epoch" in after:
        own = f"in the architecture's own recipe, after epoch {before['switch_epoch']}"
        if not after["switch_epoch"]:
            return [
                f"The augmentations of the last epochs are used from the start ({own})."
            ]
        switch = f"epoch {after['switch_epoch']} of {epochs}"
        return [
            f"The augmentations of the last epochs are used after {switch} ({own})."
        ]
    if "num_last_epochs" in after:
        last = _count(after["num_last_epochs"], "epoch")
        return [f"Mosaic ends {last} before the end of the training."]
    if after.get("type") == "EMAHook":
        own_share = f"{before.get('momentum', 0.0002):g}"
        return [
            f"The average of the weights moves by {after['momentum']:.2g} per step"
            f" instead of {own_share}."
        ]
    return []


def _hooks(cfg: dict[str, Any]) -> list[dict[str, Any]]:
    return list(cfg.get("custom_hooks") or [])


def _bitmap_loaders(cfg: dict[str, Any]) -> int:
    return sum(part.get("poly2mask") is True for part in each_dict(cfg))


def _count(number: int, noun: str) -> str:
    """A number with its noun, in the plural where there is more than one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
