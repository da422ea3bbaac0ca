"""Checkpoints, logs and early stopping."""

from __future__ import annotations

import pytest

from cvtk.recipe.hooks import set_hooks


def hooked(task="segm", early_stop=None, **parts):
    cfg = {
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 10},
            "timer": {"type": "IterTimerHook"},
        },
        "visualizer": {"vis_backends": [{"type": "LocalVisBackend"}]},
        **parts,
    }
    set_hooks(cfg, task, 15, early_stop)
    return cfg


@pytest.mark.parametrize(
    ("task", "best"), [("segm", "coco/segm_mAP"), ("det", "coco/bbox_mAP")]
)
def test_the_best_epoch_and_the_last_two_are_kept(task, best):
    hooks = hooked(task)["default_hooks"]
    assert hooks["checkpoint"] == {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 2,
        "save_best": best,
    }
    assert hooks["timer"] == {"type": "IterTimerHook"}, "others stay"


def test_the_log_holds_the_means_of_an_epoch():
    cfg = hooked()
    assert cfg["log_processor"]["window_size"] == 15
    assert cfg["default_hooks"]["logger"]["ignore_last"] is False


def test_training_ends_early_only_if_asked_to():
    assert "custom_hooks" not in hooked()
    ema = {"type": "EMAHook"}
    assert hooked(custom_hooks=[ema])["custom_hooks"] == [ema]
    first, stopping = hooked(early_stop=4, custom_hooks=[ema])["custom_hooks"]
    assert first == ema
    assert stopping["type"] == "EarlyStoppingHook"
    assert (stopping["monitor"], stopping["patience"]) == ("coco/segm_mAP", 4)
    (stopping,) = hooked("det", early_stop=1, custom_hooks=None)["custom_hooks"]
    assert stopping["monitor"] == "coco/bbox_mAP"


def test_mmengine_stops_after_so_many_epochs_without_a_better_ap():
    hooks = pytest.importorskip("mmengine.hooks", reason="needs MMEngine")
    (arguments,) = hooked(early_stop=2)["custom_hooks"]
    hook = hooks.EarlyStoppingHook(
        **{k: v for k, v in arguments.items() if k != "type"}
    )
    scores = [0.1, 0.1, 0.101, 0.05, 0.101]  # an equal AP is not better
    stops = [hook._check_stop_condition(score)[0] for score in scores]
    assert stops == [False, False, False, False, True]
