"""The whole recipe, on MMDetection's own configurations."""

from __future__ import annotations

import inspect
import multiprocessing

import pytest
from configurations import FAMILIES, MASK_RCNN, RTMDET, fitted, options

from cvtk.errors import OptionError
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.overrides import apply_overrides
from cvtk.recipe.runner_keys import RUNNER_KEYS
from cvtk.recipe.settings import apply_settings


def test_the_keys_are_those_that_the_runner_takes():
    runner = pytest.importorskip("mmengine.runner", reason="needs MMEngine")
    taken = set(inspect.signature(runner.Runner).parameters) - {"cfg"}
    assert set(RUNNER_KEYS) == taken | {"custom_imports", "find_unused_parameters"}
    assert len(RUNNER_KEYS) == len(set(RUNNER_KEYS))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_fitted(name):
    cfg = fitted(name, valid="v.json", seed=3)
    assert cfg.keys() <= set(RUNNER_KEYS)
    assert cfg["train_cfg"] == {"type": "EpochBasedTrainLoop", "max_epochs": 48}
    assert cfg["randomness"] == {"seed": 3}
    assert cfg["train_dataloader"]["batch_size"] == 4
    assert cfg["log_processor"]["window_size"] == 15
    start = cfg["env_cfg"]["mp_cfg"]["mp_start_method"]
    assert start == multiprocessing.get_start_method()
    sets = {part["ann_file"] for part in each_dict(cfg) if "ann_file" in part}
    assert sets == {"used_train.json", "used_valid.json"}, "nothing of COCO is left"


@pytest.mark.parametrize("name", ["max_epochs", "train_pipeline", "base_lr"])
def test_what_would_do_nothing_cannot_be_set(name):
    # variables of MMDetection's files: others were made from them already
    with pytest.raises(OptionError, match=name):
        apply_overrides(fitted(RTMDET), [f"{name}=3"])


def test_batches_that_make_a_step_together_count_as_one():
    # RTMDet's 0.004 is for 256 images; here 2 * 8 = 16, which is a sixteenth; the root is 1/4
    cfg = fitted(RTMDET, batch_size=2, accumulate=8)
    assert cfg["optim_wrapper"]["accumulative_counts"] == 8
    assert cfg["optim_wrapper"]["optimizer"]["lr"] == 0.001
    assert cfg["log_processor"]["window_size"] == 30, "batches, not changes of weights"
    assert fitted(RTMDET)["optim_wrapper"]["accumulative_counts"] == 1


def test_processes_share_the_images():
    # 60 images in batches of 4 by 4 processes are 3.75 steps; Mask R-CNN's batch is 16 too
    cfg = fitted(MASK_RCNN, more={"processes": 4})
    assert cfg["log_processor"]["window_size"] == 4
    assert cfg["train_dataloader"]["batch_size"] == 4, "of each"
    assert cfg["optim_wrapper"]["optimizer"]["lr"] == 0.02


def test_rle_is_loaded_as_bitmaps():
    def polygons(cfg):
        return {s["poly2mask"] for s in each_dict(cfg) if "poly2mask" in s}

    assert polygons(fitted(RTMDET)) == {False}
    assert polygons(fitted(RTMDET, rle=True)) == {True}


def test_what_is_judged_follows_the_task():
    segm, det = fitted(RTMDET), fitted("rtmdet_tiny_8xb32-300e_coco", task="det")
    assert segm["test_evaluator"]["metric"] == ["bbox", "segm"]
    assert det["test_evaluator"]["metric"] == ["bbox"]
    assert det["default_hooks"]["checkpoint"]["save_best"] == "coco/bbox_mAP"


def test_a_mix_of_images_stays_a_mix():
    data = fitted("yolox_tiny_8xb8-300e_coco", task="det")["train_dataloader"][
        "dataset"
    ]
    assert data["type"] == "MultiImageMixDataset"
    assert data["dataset"]["ann_file"] == "used_train.json"
    assert data["pipeline"][0]["type"] == "Mosaic"


def test_a_rate_that_does_not_say_where_it_begins():
    cfg = fitted("yolov3_d53_8xb8-ms-416-273e_coco", task="det", epoch=10)
    # of 273 epochs the rate falls after 218 and 246
    assert [r.get("milestones") for r in cfg["param_scheduler"]][-1] == [8, 9]


def test_an_image_size_reaches_the_pipelines():
    cfg = fitted(RTMDET, image_size=256)
    steps = cfg["test_dataloader"]["dataset"]["pipeline"]
    # 4/3 of the pieces that are learned from, in multiples of 32
    assert [step["scale"] for step in steps if "scale" in step] == [(352, 352)]


def test_settings_then_set_have_the_last_word():
    chosen = options(lr=0.1, warmup=9, set=["param_scheduler.0.end=11"])
    cfg = fitted(MASK_RCNN, lr=0.1)
    apply_settings(cfg, chosen)
    assert cfg["param_scheduler"][0]["end"] == 9
    apply_overrides(cfg, [*chosen.set, "optim_wrapper.optimizer.lr=0.3"])
    assert cfg["param_scheduler"][0]["end"] == 11
    assert cfg["optim_wrapper"]["optimizer"]["lr"] == 0.3
