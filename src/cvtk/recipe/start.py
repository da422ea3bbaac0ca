"""Where the weights of a model come from, and which of them learn."""

from __future__ import annotations

from cvtk.recipe.nodes import Node, each_dict, set_where_present

# Backbones whose batch normalization is fixed unless the configuration says otherwise.
FIXED_NORMALIZATION = {"Darknet", "HRNet", "RegNet", "Res2Net", "ResNet"}


def set_start(model: Node, weights: str) -> None:
    """Fits a model to what it starts from: "coco", "scenes", "imagenet", "none", a file or a URL."""
    for part in each_dict(model):
        # Most say "Pretrained" beside the checkpoint; PVT's do not.
        if weights != "imagenet" and "checkpoint" in str(part.get("init_cfg")):
            part["init_cfg"] = None  # all weights come from elsewhere
        if weights == "none" and part.get("type") in FIXED_NORMALIZATION:
            part["norm_eval"] = False
        if weights == "none" and part.get("eps") == 0:  # NAS-FCOS, fixed by COCO
            part["eps"] = 1e-5  # which a normalization that learns needs
    if weights == "none":  # what was never trained must not be kept as it is
        set_where_present(model, frozen_stages=-1, norm_eval=False, requires_grad=True)
