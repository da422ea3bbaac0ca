"""Which backbones have stages that can be frozen: those that can be built with them."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.engine.backbones import require_frozen_stages
from cvtk.errors import OptionError

SWIN = "mask-rcnn_swin-t-p4-w7_fpn_1x_coco"
HRNET = "mask-rcnn_hrnetv2p-w18-1x_coco"


@pytest.mark.parametrize("model", ["mask-rcnn_r50_fpn_1x_coco", SWIN])
def test_stages_are_frozen(model, built):
    cfg = built(model, frozen_stages=2)
    assert cfg.model.backbone.frozen_stages == 2


@pytest.mark.parametrize(
    ("model", "task", "name"),
    [(HRNET, "segm", "HRNet"), ("ssd300_coco", "det", "SSDVGG")],
)
def test_a_backbone_without_stages_is_told(model, task, name, built):
    with pytest.raises(
        OptionError, match=f"backbone {name} has no stages.*Leave it out"
    ):
        built(model, task, frozen_stages=2)
    built(model, task)


def test_an_architecture_without_a_backbone_is_told():
    with pytest.raises(OptionError, match="this architecture has no stages"):
        require_frozen_stages({"type": "CutAndPaste"})


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("ResNet", True),
        ("ResNeXt", True),
        ("CSPNeXt", True),
        ("MobileNetV2", True),
        ("EfficientNet", True),
        ("HRNet", False),
        ("SSDVGG", False),
        ("HourglassNet", False),
    ],
)
def test_what_is_said_is_what_the_network_does(name, can):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    start = {
        "ResNet": {"depth": 18},
        "ResNeXt": {"depth": 50},
        "SSDVGG": {"depth": 16},
        "EfficientNet": {"arch": "b0"},
    }
    more = {"extra": HRNET_EXTRA} if name == "HRNet" else start.get(name, {})
    network = {"type": name, **more}
    MODELS.build(network)
    if can:
        require_frozen_stages({"backbone": network})
        MODELS.build({**network, "frozen_stages": 1})
        return
    with pytest.raises(OptionError):
        require_frozen_stages({"backbone": network})
    with pytest.raises(TypeError):
        MODELS.build({**network, "frozen_stages": 1})


HRNET_EXTRA = {
    f"stage{n}": {
        "num_modules": 1,
        "num_branches": n,
        "block": "BOTTLENECK" if n == 1 else "BASIC",
        "num_blocks": (1,) * n,
        "num_channels": (4, 8, 16, 32)[:n],
    }
    for n in range(1, 5)
}
