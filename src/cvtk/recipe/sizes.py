"""The size of the images, in every step of the pipelines that states one.

Networks that learn from pieces of enlarged and shrunk images find more in images that are larger than these pieces
(https://arxiv.org/abs/1906.06423), above all where the pieces are small: their masks are eight times coarser than what
they see. docs/accuracy.md has measurements.
"""

from __future__ import annotations

from typing import Any

from cvtk.errors import OptionError
from cvtk.recipe.nodes import Node, each_dict

# How much larger images are when they are predicted than the pieces that were learned from.
ENLARGED = 4 / 3
SIZE_KEYS = {"scale", "scales", "img_scale", "crop_size", "size"}


def set_image_size(cfg: Node, size: int) -> int:
    """Scales all sizes in the pipelines, so that the test images become `size` pixels large.

    For a square that is its side, for a rectangle the shorter side. Returns what it was.

    Raises:
        OptionError: The architecture does not resize its test images.
    """
    own = predicted_size(cfg)
    if own is None:
        reason = "--image_size: this architecture takes images as large as they are."
        raise OptionError(reason, "Leave it out.")
    kinds = ("loader", "pipeline", "hooks")
    parts = [part for key, part in cfg.items() if key.endswith(kinds)]
    resize([*parts, cfg["model"].get("data_preprocessor")], size / min(own))
    return min(own)


def resize(node: Any, factor: float) -> None:
    """Multiplies all sizes inside parts of a configuration."""
    for part in each_dict(node):
        for key in part.keys() & SIZE_KEYS:
            part[key] = scaled_size(part[key], factor)


def enlarge_predicted_images(cfg: Node, largest: int) -> None:
    """Lets the network see larger images than it learned from, where it learned from pieces of images.

    Images of validation and test become `ENLARGED` times as large as the pieces, but not larger than `largest`, for
    which the architecture was made. Architectures that learn from whole images stay as they are.
    """
    learned, predicted = learned_size(cfg), predicted_size(cfg)
    if learned is not None and learned == predicted:
        factor = min(ENLARGED, largest / min(predicted))
        resize([cfg["val_dataloader"], cfg["test_dataloader"]], max(1, factor))


def learned_size(cfg: Node) -> tuple[int, ...] | None:
    """The size of the pieces that are cut out of images to learn from; None for whole images, or several sizes."""
    steps = each_dict([cfg.get("train_dataloader"), cfg.get("custom_hooks")])
    crops = [step for step in steps if step.get("type") == "RandomCrop"]
    sizes = {tuple(step["crop_size"]) for step in crops}
    return sizes.pop() if len(sizes) == 1 else None


def predicted_size(cfg: Node) -> tuple[int, ...] | None:
    """The size to which test images are resized; None where they are not."""
    steps = each_dict(cfg["test_dataloader"])
    sizes = [tuple(step["scale"]) for step in steps if "scale" in step]
    return sizes[0] if sizes else None


def scaled_size(old: Any, factor: float) -> Any:
    """A size, or several, times a factor, in multiples of 32: networks halve images five times."""
    if isinstance(old, (list, tuple)):
        return type(old)([scaled_size(side, factor) for side in old])
    return 32 * max(1, round(old * factor / 32)) if old else old
