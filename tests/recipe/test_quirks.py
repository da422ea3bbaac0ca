"""Quirks of single architectures, on plain dicts and on MMDetection's own configurations."""

from __future__ import annotations

import importlib.util

import pytest

from cvtk.errors import InstallError, ModelError
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.quirks import apply_quirks

needs_mmdet = pytest.mark.skipif(
    importlib.util.find_spec("mmdet") is None, reason="needs MMDetection"
)


def read(name):
    from mmengine.config import Config

    from cvtk import zoo

    config = zoo.find(name, "segm").config
    return Config.fromfile(config, import_custom_modules=False).to_dict()


@needs_mmdet
@pytest.mark.parametrize("name", ["htc_r50_fpn_1x_coco", "scnet_r50_fpn_1x_coco"])
def test_semantic_branch_is_left_out_and_reported(name):
    cfg = read(name)
    assert any(part.get("semantic_head") for part in each_dict(cfg))
    (note,) = apply_quirks(cfg)
    assert "semantic branch is left out" in note
    assert not any(
        part.get("semantic_head") or part.get("with_seg") for part in each_dict(cfg)
    )
    assert cfg["model"]["data_preprocessor"]["pad_seg"] is False
    assert apply_quirks(cfg) == []  # nothing is left to do


@needs_mmdet
def test_a_plain_configuration_stays_as_it_is():
    cfg = read("mask-rcnn_r50_fpn_1x_coco")
    assert apply_quirks(cfg) == []
    assert cfg == read("mask-rcnn_r50_fpn_1x_coco")


@needs_mmdet
def test_batch_norm_across_processes_is_pytorchs():
    cfg = read("mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-90k_coco")
    assert any(part.get("type") == "MMSyncBN" for part in each_dict(cfg))
    apply_quirks(cfg)
    kinds = {part.get("type") for part in each_dict(cfg["model"])}
    assert "SyncBN" in kinds and "MMSyncBN" not in kinds


def test_augmentations_of_packages_that_are_not_there_are_left_out(monkeypatch):
    found = importlib.util.find_spec
    absent = ("instaboostfast", "albumentations")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n in absent else found(n)
    )
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "InstaBoost"},
        {"type": "PackDetInputs"},
    ]
    cfg = {"model": {}, "train_dataloader": {"dataset": {"pipeline": steps}}}
    assert apply_quirks(cfg) == [
        "The augmentation InstaBoost is left out; it needs: pip install instaboostfast"
    ]
    assert [s["type"] for s in steps] == ["LoadImageFromFile", "PackDetInputs"]


def test_a_package_that_is_not_there_is_named_with_its_command():
    cfg = {"model": {}, "custom_imports": {"imports": ["no_such_package.models"]}}
    with pytest.raises(InstallError, match="pip install no_such_package"):
        apply_quirks(cfg)


def test_mixed_precision_is_for_gpus():
    optimizer = {
        "type": "AmpOptimWrapper",
        "loss_scale": 512.0,
        "optimizer": {"type": "SGD"},
    }
    cfg = {"model": {}, "optim_wrapper": dict(optimizer)}
    assert apply_quirks(cfg, "cuda:0") == [] and cfg["optim_wrapper"] == optimizer
    assert apply_quirks(cfg, "cpu") == ["No mixed precision: cpu does not have it."]
    assert cfg["optim_wrapper"] == {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD"},
    }


def test_models_that_learn_from_text_are_refused():
    with pytest.raises(ModelError, match="GLIP finds what a text describes"):
        apply_quirks(
            {"model": {"type": "GLIP", "language_model": {"type": "BertModel"}}}
        )


def test_a_note_is_given_once():
    heads = [{"semantic_head": {"type": "A"}}, {"semantic_head": {"type": "B"}}]
    cfg = {"model": {"heads": heads}}
    assert len(apply_quirks(cfg)) == 1
    assert heads == [{}, {}]


def test_an_augmentation_is_left_out_of_every_pipeline(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda n: None if n == "albumentations" else found(n),
    )
    albu, other = {"type": "Albu"}, {"type": "RandomFlip"}
    hook = {"type": "PipelineSwitchHook", "switch_pipeline": [albu, other]}
    cfg = {
        "model": {},
        "train_pipeline": [other, albu],
        "custom_hooks": [hook],
    }
    assert apply_quirks(cfg) == [
        "The augmentation Albu is left out; it needs: pip install albumentations"
    ]
    assert cfg["train_pipeline"] == hook["switch_pipeline"] == [other]


def test_boxinst_gets_masks_to_load(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda name: None)  # scikit-image
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
    cfg = {
        "model": {"data_preprocessor": {"type": "BoxInstDataPreprocessor"}},
        "train_dataloader": {"dataset": {"pipeline": steps}},
    }
    assert apply_quirks(cfg) == ["BoxInst learns masks from boxes alone."]
    assert steps[1] == {"type": "LoadAnnotations", "with_mask": True}


def test_queryinsts_last_boxes_stay_inside_the_image():
    boxes = [{"bbox_coder": {"clip_border": False}} for _ in range(2)]
    head = {"type": "SparseRoIHead", "bbox_head": boxes, "mask_head": [{}]}
    assert apply_quirks({"model": {"roi_head": head}}) == []
    assert [box["bbox_coder"]["clip_border"] for box in boxes] == [False, True]


def test_a_lone_scheduler_becomes_a_list():
    cfg = {"model": {}, "param_scheduler": {"type": "MultiStepLR"}}
    assert apply_quirks(cfg) == []
    assert cfg["param_scheduler"] == [{"type": "MultiStepLR"}]
