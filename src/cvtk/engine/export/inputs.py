"""What a network takes: from its pipeline of test images, and from how it prepares them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cvtk.errors import ModelError
from cvtk.exported.description import ImageForm

# By the name of the library, as a step has it.
_RESAMPLING: dict[str, Literal["opencv", "pillow"]] = {
    "cv2": "opencv",
    "pillow": "pillow",
}
# Steps that change nothing of the picture.
_IDLE = ("LoadImageFromFile", "LoadAnnotations", "PackDetInputs")
# What a step means for a user, of those that an exported model does not do.
_NOT_DONE = {
    "LoadProposals": "the boxes that another network proposes for an image",
    "RandomCenterCropPad": "images as large as they are",
}


def image_form(pipeline: list[dict[str, Any]]) -> ImageForm:
    """How an image is scaled and padded before the network sees it.

    Args:
        pipeline: The steps for test images, of MMDetection's configuration.

    Raises:
        ModelError: A step does something else with the picture.
    """
    form = None
    for step in pipeline:
        kind = str(step["type"]).rsplit(".", 1)[-1]
        if kind in ("Resize", "FixScaleResize") and form is None and "scale" in step:
            keep_ratio = bool(step.get("keep_ratio", False))
            form = ImageForm(
                _pair(step["scale"]), keep_ratio, resampling=_resampling(step)
            )
        elif kind == "Pad" and form is not None:
            form = msgspec.structs.replace(
                form, canvas=_canvas(step, form), fill=_fill(step)
            )
        elif kind in _NOT_DONE:
            raise ModelError(
                f"It takes {_NOT_DONE[kind]}, which an exported model does not."
            )
        elif kind not in _IDLE:
            raise ModelError(
                f"Test images go through {kind} here, which an exported model does not do."
            )
    if form is None:
        raise ModelError(
            "Test images are not scaled here, which an exported model needs."
        )
    return form


def _pair(value: Any) -> tuple[int, int]:
    width, height = (value, value) if isinstance(value, int) else value
    return int(width), int(height)


def _resampling(step: dict[str, Any]) -> Literal["opencv", "pillow"]:
    by, kind = step.get("backend", "cv2"), step.get("interpolation", "bilinear")
    if kind != "bilinear" or by not in _RESAMPLING:
        raise ModelError(
            f"Test images are scaled by {by} ({kind}) here, which an exported model does not do."
        )
    return _RESAMPLING[by]


def _canvas(step: dict[str, Any], form: ImageForm) -> tuple[int, int]:
    if step.get("size"):
        return _pair(step["size"])
    if step.get("pad_to_square"):
        return max(form.scale), max(form.scale)
    raise ModelError(
        "Test images are padded in a way here that an exported model does not know."
    )


def _fill(step: dict[str, Any]) -> tuple[int, int, int]:
    """The colour of what is padded, red first; MMDetection's images have blue first."""
    value = step.get("pad_val", 0)
    if isinstance(value, dict):
        value = value.get("img", 0)
    blue, green, red = value if isinstance(value, (list, tuple)) else [value] * 3
    return int(red), int(green), int(blue)
