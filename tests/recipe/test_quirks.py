"""Adaptations of single architectures, on plain dicts and on MMDetection's own configurations."""

from __future__ import annotations

import importlib.util

import pytest

from cvtk.adapt import adapt
from cvtk.config import walk
from cvtk.errors import InstallError, ModelError

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
def test_semantic_branch_is_left_out_and_said(name):
    cfg = read(name)
    assert any(part.get("semantic_head") for part in walk(cfg))
    (note,) = adapt(cfg)
    assert "semantic branch" in note
    assert not any(
        part.get("semantic_head") or part.get("with_seg") for part in walk(cfg)
    )
    assert cfg["model"]["data_preprocessor"]["pad_seg"] is False
    assert adapt(cfg) == []  # nothing is left to do


@needs_mmdet
def test_a_plain_configuration_stays_as_it_is():
    cfg = read("mask-rcnn_r50_fpn_1x_coco")
    assert adapt(cfg) == []
    assert cfg == read("mask-rcnn_r50_fpn_1x_coco")


@needs_mmdet
def test_batch_norm_across_processes_is_pytorchs():
    cfg = read("mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-90k_coco")
    assert any(part.get("type") == "MMSyncBN" for part in walk(cfg))
    adapt(cfg)
    kinds = {part.get("type") for part in walk(cfg["model"])}
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
    assert adapt(cfg) == [
        "The augmentation InstaBoost is left out: pip install instaboostfast"
    ]
    assert [s["type"] for s in steps] == ["LoadImageFromFile", "PackDetInputs"]


def test_a_package_that_is_not_there_is_named_with_its_command():
    cfg = {"model": {}, "custom_imports": {"imports": ["no_such_package.models"]}}
    with pytest.raises(InstallError, match="pip install no_such_package"):
        adapt(cfg)


def test_mixed_precision_is_for_gpus():
    optimizer = {
        "type": "AmpOptimWrapper",
        "loss_scale": 512.0,
        "optimizer": {"type": "SGD"},
    }
    cfg = {"model": {}, "optim_wrapper": dict(optimizer)}
    assert adapt(cfg, "cuda:0") == [] and cfg["optim_wrapper"] == optimizer
    assert adapt(cfg, "cpu") == ["No mixed precision: cpu does not have it."]
    assert cfg["optim_wrapper"] == {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD"},
    }


def test_models_that_are_told_by_text_are_refused():
    with pytest.raises(ModelError, match="GLIP is told by text"):
        adapt({"model": {"type": "GLIP", "language_model": {"type": "BertModel"}}})
