"""Both scripts fit an architecture in the same way: the configurations are compared, key by key."""

from __future__ import annotations

import argparse
import inspect
import json
import shutil

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.runner import Runner

from cvtk.recipe.quirks import apply_quirks
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
def scripts(tmp_path_factory, load):
    """Task -> the imported script."""
    folder = tmp_path_factory.mktemp("parity")
    return {
        task: load(create_script(folder / f"{task}.py", task, vanilla=True))
        for task in ("segm", "det")
    }


@pytest.fixture
def built_by_vanilla(scripts, monkeypatch):
    """The configuration of a training by the vanilla script."""

    def build(model, task, labels, options, settings=()):
        script = scripts[task]
        monkeypatch.setattr(script, "MODEL", model)
        monkeypatch.setattr(script, "SETTINGS", list(settings))
        arguments = argparse.Namespace(**vars(options), label=labels)
        options.workspace.mkdir(parents=True, exist_ok=True)
        return script.build_config(arguments, options.workspace.resolve())

    return build


MORE = {"epoch": 7, "num_workers": 1, "image_size": None}


def test_settings_at_the_head_of_the_script_are_as_with_set(
    built_by_vanilla, chosen, demo
):
    options = chosen(**MORE, set=["optim_wrapper.optimizer.lr=0.5"])
    settings = ["model.backbone.frozen_stages=3", "optim_wrapper.optimizer.lr=0.1"]
    cfg = built_by_vanilla(DET["boxes"], "det", demo.label, options, settings)
    assert cfg.model.backbone.frozen_stages == 3
    assert cfg.optim_wrapper.optimizer.lr == 0.5, "the command line has the last word"


def test_annotations_that_lie_in_the_workspace_stay_as_they_are(
    built, built_by_vanilla, chosen, demo, tmp_path
):
    own = tmp_path / "out put" / "a.v2" / "train.json"
    shutil.copytree(demo.train.parent, own.parent)
    shutil.move(own.parent / "segm.json", own)
    labels = tmp_path / "label.txt"
    labels.write_text("\n".join(demo.label.read_text().split()[::-1]))
    changes = {**MORE, "train": own, "valid": own}
    built(DET["boxes"], "det", labels=labels, **changes)
    built_by_vanilla(DET["boxes"], "det", labels, chosen(**changes))
    assert own.read_bytes() == demo.train.read_bytes()


@pytest.mark.parametrize(("task", "name"), CASES, ids=[*SEGM, *DET])
@pytest.mark.parametrize(
    "more",
    [
        {"weights": "none", "image_size": 96},
        {"weights": "imagenet", "lr": 0.003, "accumulate": 2, "early_stop": 3},
    ],
    ids=["from scratch", "from a backbone"],
)
def test_both_scripts_build_the_same(
    more, task, name, built, built_by_vanilla, chosen, demo
):
    more = {**MORE, "test": demo.test, **more}
    if "fast-rcnn" in name:  # there is no size in its pipeline to change
        more["image_size"] = None
    options = chosen(**more)
    helper = built(name, task, **more).to_dict()
    used = {}
    for split in ("train", "valid", "test"):
        file = options.workspace / f"used_{split}.json"
        used[split] = json.loads(file.read_text())
    other = built_by_vanilla(name, task, demo.label, options).to_dict()
    apply_quirks(other, "cpu")  # the vanilla script leaves these out
    keys = {*inspect.signature(Runner).parameters}
    assert {*helper} & keys == {*other} & keys - {"launcher"}
    assert other["launcher"] == "none"
    for key in {*helper} & keys:
        assert helper[key] == other[key], key
    for split, coco in used.items():
        file = options.workspace / f"used_{split}.json"
        assert comparable(json.loads(file.read_text())) == comparable(coco)


def comparable(coco):
    """What MMDetection looks at."""
    return {
        "images": [
            (i["id"], i["file_name"], i["width"], i["height"]) for i in coco["images"]
        ],
        "categories": [(c["id"], c["name"]) for c in coco["categories"]],
        "annotations": [
            {
                key: a.get(key)
                for key in (
                    "id",
                    "image_id",
                    "category_id",
                    "iscrowd",
                    "bbox",
                    "area",
                    "segmentation",
                )
            }
            for a in coco["annotations"]
        ],
    }
