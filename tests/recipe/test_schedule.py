"""The schedule fitted to few images, worked out by hand."""

from __future__ import annotations

import copy

import pytest
from configurations import MASK_RCNN, RTMDET, adamw, sgd
from hypothesis import given, settings
from hypothesis import strategies as st

from cvtk.recipe.schedule import has_steps, set_schedule


def fitted(cfg, name, epoch=48, steps=15, batch_size=4, lr=None, weights="coco"):
    """48 epochs of 15 steps of 4 images, unless a test says otherwise."""
    set_schedule(cfg, name, epoch, steps, batch_size, lr, weights == "none")
    return cfg


def rate(cfg):
    return cfg["optim_wrapper"]["optimizer"]["lr"]


def test_sgds_learning_rate_follows_the_batch():
    # 4 images in place of 16: a quarter of 0.02, trained before or not
    assert rate(fitted(sgd(), MASK_RCNN)) == 0.005
    assert rate(fitted(sgd(), MASK_RCNN, weights="none")) == 0.005
    assert rate(fitted(sgd(), MASK_RCNN, batch_size=16)) == 0.02


def test_adams_learning_rate_follows_the_root_of_the_batch():
    # 4 images in place of 8 * 32 = 256: sqrt(1 / 64) = 1 / 8 of 0.004
    assert rate(fitted(adamw(), RTMDET)) == 0.0005
    assert rate(fitted(adamw(), RTMDET, weights="none")) == 0.001, "doubled"
    assert rate(fitted(adamw(), RTMDET, batch_size=16)) == 0.001


def test_the_batch_is_told_by_the_name_before_the_setting():
    cfg = {**sgd(), "auto_scale_lr": {"base_batch_size": 64}}
    assert rate(fitted(copy.deepcopy(cfg), "x_4xb4_coco")) == 0.005
    assert rate(fitted(cfg, "x_coco")) == 0.00125
    cfg = sgd()
    del cfg["auto_scale_lr"]
    assert rate(fitted(cfg, "x_coco")) == 0.005, "16 where nothing tells"


def test_a_learning_rate_that_is_asked_for_is_used():
    cfg = fitted(adamw(), RTMDET, lr=0.002, weights="none")
    assert rate(cfg) == 0.002
    assert cfg["param_scheduler"][1]["eta_min"] == pytest.approx(0.0001)
    assert rate(fitted(adamw(), RTMDET, lr=0.00123456)) == 0.00123456, (
        "to the last digit"
    )


def test_the_warm_up_takes_a_tenth_at_most():
    # 48 * 15 = 720 steps
    assert fitted(sgd(), MASK_RCNN)["param_scheduler"][0]["end"] == 72
    assert fitted(adamw(), RTMDET)["param_scheduler"][0]["end"] == 72
    long = fitted(sgd(), MASK_RCNN, steps=1000)
    assert long["param_scheduler"][0]["end"] == 500, "never longer than it was"


def test_milestones_move_in_proportion():
    # 12 epochs become 48
    _, decay = fitted(sgd(), MASK_RCNN)["param_scheduler"]
    assert (decay["milestones"], decay["begin"], decay["end"]) == ([32, 44], 0, 48)


def test_a_cosine_moves_in_proportion():
    # 300 epochs become 48; the lowest rate is an eighth of its own, as the highest
    _, cosine = fitted(adamw(), RTMDET)["param_scheduler"]
    assert [cosine[key] for key in ("begin", "end", "T_max")] == [24, 48, 24]
    assert cosine["eta_min"] == pytest.approx(0.000025)


def test_the_average_of_weights_moves_faster_in_few_steps():
    # COCO: 300 epochs of 117,266 images, 256 per step, are 137,421 steps
    ema = fitted(adamw(), RTMDET)["custom_hooks"][0]
    assert ema["momentum"] == pytest.approx(0.0002 * 137421 / 720)
    assert ema["gamma"] == round(2000 * 720 / 137421)
    ema = fitted(adamw(), RTMDET, epoch=1)["custom_hooks"][0]
    assert (ema["momentum"], ema["gamma"]) == (0.2, 1), "but never by more than a fifth"


def test_mosaic_is_left_out_of_short_trainings():
    switch = fitted(adamw(), RTMDET)["custom_hooks"][1]
    assert switch["switch_epoch"] == 0
    # 30 * 200 = 6,000 steps: 280 of 300 epochs are 28 of 30
    switch = fitted(adamw(), RTMDET, epoch=30, steps=200)["custom_hooks"][1]
    assert switch["switch_epoch"] == 28


def test_a_schedule_in_steps_becomes_one_in_epochs():
    # Mask2Former: 368,750 steps of 16 images; here 10 epochs of 100 steps
    cfg = {
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 368750},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.0001}},
        "param_scheduler": [
            {
                "type": "MultiStepLR",
                "by_epoch": False,
                "begin": 0,
                "end": 368750,
                "milestones": [327778, 355092],
            }
        ],
    }
    fitted(cfg, "mask2former_r50_8xb2-lsj-50e_coco", epoch=10, steps=100)
    assert cfg["train_cfg"] == {"type": "EpochBasedTrainLoop", "max_epochs": 10}
    (decay,) = cfg["param_scheduler"]
    assert (decay["milestones"], decay["end"]) == ([889, 963], 1000)
    assert rate(cfg) == 0.00005


@settings(max_examples=200, deadline=None)
@given(
    make=st.sampled_from([sgd, adamw]),
    epoch=st.integers(1, 500),
    steps=st.integers(1, 20000),
    batch_size=st.integers(1, 64),
    weights=st.sampled_from(["coco", "none"]),
)
def test_any_length_gives_a_schedule_that_fits_in_it(
    make, epoch, steps, batch_size, weights
):
    cfg = make()
    before = {s["type"] for s in cfg["param_scheduler"]}
    chosen = {"epoch": epoch, "steps": steps, "batch_size": batch_size}
    fitted(cfg, RTMDET if make is adamw else MASK_RCNN, weights=weights, **chosen)
    assert rate(cfg) > 0
    for scheduler in cfg["param_scheduler"]:
        assert scheduler["type"] in before
        most = epoch if scheduler["by_epoch"] else max(1, epoch * steps / 10 + 0.5)
        assert 0 <= scheduler["begin"] < scheduler["end"] <= most
        assert scheduler.get("T_max", 1) >= 1
        marks = scheduler.get("milestones", [])
        assert marks == sorted(marks) and all(1 <= m <= epoch for m in marks)
    for hook in cfg.get("custom_hooks", []):
        assert 0 <= hook.get("momentum", 0) <= 0.2
        assert 0 <= hook.get("switch_epoch", 0) <= epoch


def test_a_scheduler_that_does_not_say_where_it_ends_stays():
    cfg = sgd()
    warmup, decay = cfg["param_scheduler"]
    del decay["begin"], decay["end"]
    warmup["end"] = None
    fitted(cfg, MASK_RCNN)
    assert cfg["param_scheduler"] == [warmup, decay]
    assert (warmup["begin"], warmup["end"]) == (0, None)
    assert decay["milestones"] == [32, 44]


def test_schedulers_of_no_length_are_left_out():
    # 12 epochs become 1: the decay from epoch 0 to 1 has no step between two epochs left
    (warmup,) = fitted(sgd(), MASK_RCNN, epoch=1, steps=40)["param_scheduler"]
    assert (warmup["type"], warmup["end"]) == ("LinearLR", 4)
    assert not has_steps({"begin": 0, "end": 1})
    assert not has_steps({"begin": 5, "end": 5})
    assert has_steps({"begin": 0, "end": 2})
    assert has_steps({"begin": 20})


def test_an_average_that_does_not_say_how_fast_it_moves_is_mmengines():
    cfg = adamw()
    del cfg["custom_hooks"][0]["momentum"]
    ema = fitted(cfg, RTMDET)["custom_hooks"][0]
    assert ema["momentum"] == pytest.approx(0.0002 * 137421 / 720)


def test_mosaic_ends_in_proportion():
    # YOLOX: the last 15 of 300 epochs; of 48 epochs that is 2.4
    cfg = adamw()
    cfg["custom_hooks"] = [{"type": "YOLOXModeSwitchHook", "num_last_epochs": 15}]
    assert fitted(cfg, RTMDET)["custom_hooks"][0]["num_last_epochs"] == 2
