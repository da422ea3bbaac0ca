"""The size of the images, in every step of the pipelines that states one."""

from __future__ import annotations

from typing import Any

from cvtk.errors import OptionError
from cvtk.recipe.nodes import Node, each_dict

SIZE_KEYS = {"scale", "scales", "img_scale", "crop_size", "size"}


def set_image_size(cfg: Node, size: int) -> None:
    """Scales all sizes in the pipelines, so that the test images become `size` pixels large.

    For a square that is its side, for a rectangle the shorter side.

    Raises:
        OptionError: The architecture does not resize its test images.
    """
    steps = list(each_dict(cfg["test_dataloader"]))
    test_sizes = [step["scale"] for step in steps if "scale" in step]
    if not test_sizes:
        reason = "--image_size: this architecture takes images as large as they are."
        raise OptionError(reason, "Leave it out.")
    factor = size / min(test_sizes[0])
    kinds = ("loader", "pipeline", "hooks")
    parts = [part for key, part in cfg.items() if key.endswith(kinds)]
    for part in each_dict([*parts, cfg["model"].get("data_preprocessor")]):
        for key in part.keys() & SIZE_KEYS:
            part[key] = scaled_size(part[key], factor)


def scaled_size(old: Any, factor: float) -> Any:
    """A size, or several, times a factor, in multiples of 32: networks halve images five times."""
    if isinstance(old, (list, tuple)):
        return type(old)([scaled_size(side, factor) for side in old])
    return 32 * max(1, round(old * factor / 32)) if old else old
