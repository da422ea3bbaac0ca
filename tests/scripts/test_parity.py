"""Both scripts fit an architecture in the same way: the configurations are compared, key by key."""

from __future__ import annotations

import argparse
import inspect

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.config import DEFAULTS
from cvtk.engine.build import build_config
from mmengine.runner import Runner

from cvtk.scripts.create import create_script

# One for each thing that a configuration may have: what it counts in, mixes, repeats, freezes.
SEGM = {
    "epochs": "mask-rcnn_r50_fpn_1x_coco",
    "steps": "mask2former_r50_8xb2-lsj-50e_coco",
    "a cosine, an average of the weights, another pipeline at the end": "rtmdet-ins_tiny_8xb32-300e_coco",
    "sets that repeat": "mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco",
    "parts of other images": "mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-scp-90k_coco",
    "heads in a list": "cascade-mask-rcnn_r50_fpn_1x_coco",
    "normalization that is not stated": "mask-rcnn_hrnetv2p-w18-1x_coco",
    "transformers": "mask-rcnn_swin-t-p4-w7_fpn_1x_coco",
    "a batch in the name": "yolact_r50_1xb8-55e_coco",
}
DET = {
    "boxes": "faster-rcnn_r50_fpn_1x_coco",
    "a mix of images": "yolox_tiny_8xb8-300e_coco",
    "one rate": "yolov3_d53_8xb8-ms-416-273e_coco",
    "queries": "detr_r50_8xb2-150e_coco",
    "no size in the pipeline of the tests": "cascade-rpn_fast-rcnn_r50-caffe_fpn_1x_coco",
}
CASES = [("segm", name) for name in SEGM.values()]
CASES += [("det", name) for name in DET.values()]


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory, load):
    """Task -> the imported script."""
    folder = tmp_path_factory.mktemp("parity")
    return {
        task: load(create_script(folder / f"{task}.py", task, vanilla=True))
        for task in ("segm", "det")
    }


def test_settings_at_the_head_of_the_script_are_as_with_set(
    vanilla, demo, tmp_path, monkeypatch
):
    options = {
        **DEFAULTS,
        **{"train": str(demo.train), "valid": None, "test": None, "task": "det"},
        **{"output_weights": str(tmp_path / "fruit.pth"), "device": "cpu"},
        "set": ["optim_wrapper.optimizer.lr=0.5"],
    }
    script, classes = vanilla["det"], demo.label.read_text().split()
    monkeypatch.setattr(script, "MODEL", DET["boxes"])
    settings = ["model.backbone.frozen_stages=3", "optim_wrapper.optimizer.lr=0.1"]
    monkeypatch.setattr(script, "SETTINGS", settings)
    cfg = script.build_config(classes, argparse.Namespace(**options))
    assert cfg.model.backbone.frozen_stages == 3
    assert cfg.optim_wrapper.optimizer.lr == 0.5, "the command line has the last word"


def test_annotations_that_lie_in_the_workspace_stay_as_they_are(
    vanilla, demo, tmp_path
):
    own = tmp_path / "fruit" / "train.json"
    own.parent.mkdir()
    own.write_bytes(demo.train.read_bytes())
    options = {
        **DEFAULTS,
        **{"train": str(own), "valid": str(own), "test": None, "task": "det"},
        **{"output_weights": str(tmp_path / "fruit.pth"), "device": "cpu"},
    }
    name, classes = DET["boxes"], demo.label.read_text().split()[::-1]
    build_config(name, classes, dict(options))
    vanilla["det"].MODEL = name
    vanilla["det"].build_config(classes, argparse.Namespace(**options))
    assert own.read_bytes() == demo.train.read_bytes()


@pytest.mark.parametrize(("task", "name"), CASES, ids=[*SEGM, *DET])
@pytest.mark.parametrize(
    "more",
    [
        {"weights": "none", "image_size": 96},
        {"weights": "imagenet", "lr": 0.003, "accumulate": 2, "tensorboard": True},
    ],
    ids=["from scratch", "from a backbone"],
)
def test_both_scripts_build_the_same(
    more, task, name, vanilla, demo, tmp_path, monkeypatch
):
    options = {
        **DEFAULTS,
        "train": str(demo.train),
        "valid": str(demo.valid),
        "test": str(demo.test),
        "task": task,
        "output_weights": str(tmp_path / "a b.v2.pth"),
        "epoch": 7,
        "batch_size": 2,
        "num_workers": 1,
        "seed": 3,
        "device": "cpu",
        **more,
    }
    if "fast-rcnn" in name:  # there is no size in its pipeline to change
        options["image_size"] = None
    classes = demo.label.read_text().split()
    helper = build_config(name, classes, dict(options)).to_dict()
    monkeypatch.setattr(vanilla[task], "MODEL", name)
    other = vanilla[task].build_config(classes, argparse.Namespace(**options))
    other = other.to_dict()
    # How often MMEngine writes to its log is the one thing in which they differ.
    used = {*inspect.signature(Runner).parameters} - {"log_processor"}
    assert {*helper} & used == {*other} & used - {"launcher"}
    assert other["launcher"] == "none"
    for cfg in (helper, other):
        del cfg["default_hooks"]["logger"]
    for key in {*helper} & used:
        assert helper[key] == other[key], key
