"""Where the weights of a model come from, and which of them learn."""

from __future__ import annotations

from typing import Any

from cvtk.recipe.nodes import each_dict, set_where_present, update_where_present

# Backbones whose batch normalization is fixed unless the configuration says otherwise.
FIXED_NORMALIZATION = {"Darknet", "HRNet", "RegNet", "Res2Net", "ResNet"}


def set_start(model: dict[str, Any], weights: str) -> None:
    """Fits a model to what it starts from: "coco", "imagenet", "none", a file or a URL."""
    if weights != "imagenet":  # then all weights come from elsewhere
        update_where_present(model, "init_cfg", without_pretrained)
    if weights == "none":
        unfreeze(model)


def without_pretrained(init_cfg: Any) -> Any:
    """The part of an initialization that downloads nothing."""
    return None if "Pretrained" in str(init_cfg) else init_cfg


def unfreeze(model: dict[str, Any]) -> None:
    """Lets every layer learn: one that was never trained must not be kept as it is."""
    for part in each_dict(model):
        if part.get("type") in FIXED_NORMALIZATION:
            part["norm_eval"] = False
    set_where_present(model, frozen_stages=-1, norm_eval=False, requires_grad=True)
