"""The configuration fitted to few images: schedules worked out by hand, sizes, classes, the start."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvtk.config import (
    change,
    set_image_size,
    set_keys,
    set_model,
    set_schedule,
    set_settings,
    walk,
)
from cvtk.errors import ModelError

RTMDET = "rtmdet-ins_tiny_8xb32-300e_coco"  # 8 GPUs with 32 images, 300 epochs
MASK_RCNN = "mask-rcnn_r50_fpn_1x_coco"  # 8 GPUs with 2 images, 12 epochs


def options(**changes):
    few = {"epoch": 48, "batch_size": 4, "steps": 15, "lr": None, "weights": "coco"}
    return {**few, **changes}


def sgd():
    """The 1x schedule of MMDetection (configs/_base_/schedules/schedule_1x.py)."""
    return {
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.02}},
        "param_scheduler": [
            {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 500},
            {
                "type": "MultiStepLR",
                "by_epoch": True,
                "begin": 0,
                "end": 12,
                "milestones": [8, 11],
            },
        ],
        "auto_scale_lr": {"enable": False, "base_batch_size": 16},
    }


def adamw():
    """RTMDet's schedule, with its average of weights and its switch of pipelines."""
    ema = {"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.0002}
    return {
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 300},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.004}},
        "param_scheduler": [
            {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 1000},
            {
                "type": "CosineAnnealingLR",
                "by_epoch": True,
                "eta_min": 0.0002,
                "begin": 150,
                "end": 300,
                "T_max": 150,
            },
        ],
        "custom_hooks": [ema, {"type": "PipelineSwitchHook", "switch_epoch": 280}],
    }


def fitted(cfg, name, **changes):
    chosen = options(**changes)
    set_schedule(cfg, name, {"images_a_step": chosen["batch_size"], **chosen})
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
    # COCO: 300 epochs of 117,266 images, 256 a step, are 137,421 steps
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


# What follows looks at MMDetection's own configurations.


def original(name):
    mmdet = pytest.importorskip("mmdet", reason="needs MMDetection")
    from mmengine.config import Config

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (file,) = configs.rglob(f"{name}.py")
    return Config.fromfile(file, import_custom_modules=False).to_dict()


def sizes(cfg):
    """(step, size) of all steps of the pipelines that have one."""
    found = []
    parts = [
        cfg.get(k) for k in ("train_dataloader", "test_dataloader", "custom_hooks")
    ]
    for step in walk(parts):
        for key in ("scale", "scales", "img_scale", "crop_size", "size"):
            if step.get(key):
                found.append((step["type"], step[key]))
    return found


def test_rtmdets_image_size_scales_all_that_has_one():
    cfg = original(RTMDET)
    before = sizes(cfg)
    set_image_size(cfg, 256)
    assert {size for _, size in before} == {(640, 640), (1280, 1280)}
    expected = {(640, 640): (256, 256), (1280, 1280): (512, 512)}
    assert sizes(cfg) == [(kind, expected[size]) for kind, size in before]
    assert {"CachedMosaic", "CachedMixUp", "RandomCrop", "Pad", "Resize"} <= {
        kind for kind, _ in before
    }


def test_mask_rcnns_image_size_is_the_shorter_side():
    cfg = original(MASK_RCNN)
    assert {size for _, size in sizes(cfg)} == {(1333, 800)}
    set_image_size(cfg, 256)
    assert {size for _, size in sizes(cfg)} == {(416, 256)}  # 1333 * 256 / 800 = 426.6


@pytest.mark.parametrize("size", [1, 31, 64, 100, 1000])
def test_all_sizes_are_multiples_of_32(size):
    for name in (RTMDET, MASK_RCNN):
        cfg = original(name)
        set_image_size(cfg, size)
        for _, value in sizes(cfg):
            assert all(side % 32 == 0 and side > 0 for side in value)


FAMILIES = [
    RTMDET,
    MASK_RCNN,
    "rtmdet_tiny_8xb32-300e_coco",
    "faster-rcnn_r50_fpn_1x_coco",
    "cascade-mask-rcnn_r50_fpn_1x_coco",
    "yolox_tiny_8xb8-300e_coco",
    "retinanet_r18_fpn_1x_coco",
    "detr_r50_8xb2-150e_coco",
    "dino-4scale_r50_8xb2-12e_coco",
    "mask2former_r50_8xb2-lsj-50e_coco",
    "solov2_r50_fpn_1x_coco",
    "condinst_r50_fpn_ms-poly-90k_coco_instance",
    "yolact_r50_1xb8-55e_coco",
    "ms-rcnn_r50-caffe_fpn_1x_coco",
    "queryinst_r50_fpn_1x_coco",
    "point-rend_r50-caffe_fpn_ms-1x_coco",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_no_architecture_keeps_cocos_80_classes(name):
    model = original(name)["model"]

    def of_coco(part):
        return {
            key: value
            for key, value in part.items()
            if "class" in key and value in (80, 81, 133, [80, 53])
        }

    assert any(of_coco(part) for part in walk(model)), "or this test shows nothing"
    set_model(model, 3, "coco")
    assert not any(of_coco(part) for part in walk(model))
    assert any(3 in part.values() for part in walk(model))


def test_mask2former_has_instances_alone():
    model = original("mask2former_r50_8xb2-lsj-50e_coco")["model"]
    set_model(model, 3, "coco")
    head = model["panoptic_head"]
    assert (head["num_things_classes"], head["num_stuff_classes"]) == (3, 0)
    assert head["loss_cls"]["class_weight"] == [1.0, 1.0, 1.0, 0.1], "0.1 for nothing"


def test_from_scratch_nothing_is_frozen_or_loaded():
    model = original(MASK_RCNN)["model"]
    backbone = model["backbone"]
    assert (backbone["frozen_stages"], backbone["norm_eval"]) == (1, True)
    set_model(model, 3, "none")
    assert (backbone["frozen_stages"], backbone["norm_eval"]) == (-1, False)
    assert backbone["init_cfg"] is None, "nothing is downloaded"
    for name in FAMILIES:
        model = original(name)["model"]
        set_model(model, 3, "none")
        for part in walk(model):
            assert part.get("frozen_stages", -1) == -1
            assert part.get("requires_grad", True) is True
            assert "Pretrained" not in str(part.get("init_cfg"))


@pytest.mark.parametrize(
    "name", ["mask-rcnn_hrnetv2p-w18-1x_coco", "yolov3_d53_8xb8-320-273e_coco"]
)
def test_from_scratch_batches_are_normalized_by_what_they_are(name):
    # Unasked, HRNet and Darknet take the means of a training that there never was.
    model = original(name)["model"]
    assert "norm_eval" not in model["backbone"], "or this test shows nothing"
    set_model(model, 3, "coco")
    assert "norm_eval" not in model["backbone"]
    set_model(model, 3, "none")
    assert model["backbone"]["norm_eval"] is False


def test_from_coco_what_is_frozen_stays_so():
    backbone = original(MASK_RCNN)["model"]["backbone"]
    model = {"backbone": copy.deepcopy(backbone)}
    set_model(model, 3, "coco")
    assert model["backbone"] == {**backbone, "init_cfg": None}


def test_from_imagenet_the_backbone_is_loaded():
    model = original(MASK_RCNN)["model"]
    before = copy.deepcopy(model["backbone"])
    set_model(model, 3, "imagenet")
    assert model["backbone"] == before
    assert before["init_cfg"]["type"] == "Pretrained"


def test_walk_yields_every_dict_the_outermost_first():
    tree = {"a": [{"b": 1}, ({"c": 2},)], "d": {"e": {}}}
    assert list(walk(tree)) == [tree, {"b": 1}, {"c": 2}, {"e": {}}, {}]
    assert list(walk(None)) == []


def test_change_sets_a_key_wherever_it_is_and_nowhere_else():
    tree = {"a": 1, "b": [{"a": 2, "c": {"a": [3]}}, {"d": 4}]}
    change(tree["b"], a=lambda old: [old])
    assert tree == {"a": 1, "b": [{"a": [2], "c": {"a": [[3]]}}, {"d": 4}]}
    change(tree, d=None, e=5)
    assert tree["b"][1] == {"d": None}


def small():
    """A fitted configuration, with what the settings are about."""
    hooks = {"checkpoint": {"interval": 1, "save_best": "coco/segm_mAP"}}
    hooks |= {"logger": {"interval": 50}}
    model = {"backbone": {"depth": 50}, "heads": [{"on": False}, {"size": (3, 4)}]}
    return {**sgd(), "default_hooks": hooks, "model": model}


SET = {
    "optim_wrapper.optimizer.lr=0.5": ("optim_wrapper", "optimizer", "lr", 0.5),
    "optim_wrapper.optimizer.lr=1e-3": ("optim_wrapper", "optimizer", "lr", 0.001),
    "optim_wrapper.optimizer.type=Adam": ("optim_wrapper", "optimizer", "type", "Adam"),
    "param_scheduler.1.milestones=[4,9]": (
        *("param_scheduler", 1, "milestones"),
        [4, 9],
    ),
    "model.heads.0.on=True": ("model", "heads", 0, "on", True),
    "model.heads.1.size=None": ("model", "heads", 1, "size", None),
    "+optim_wrapper.clip_grad.max_norm=35": (
        *("optim_wrapper", "clip_grad", "max_norm"),
        35,
    ),
    "+model.backbone.text=a=b": ("model", "backbone", "text", "a=b"),
}


@pytest.mark.parametrize("pair", SET)
def test_any_key_is_set_with_the_type_of_its_value(pair):
    pytest.importorskip("mmengine", reason="needs MMEngine")
    cfg, (*path, expected) = small(), SET[pair]
    set_keys(cfg, [pair])
    for key in path:
        cfg = cfg[key]
    assert cfg == expected and type(cfg) is type(expected)


@pytest.mark.parametrize(
    ("pair", "wrong", "right"),
    [
        ("optim_wrapper.optimzer.lr=0.5", "optimzer", "optimizer"),
        ("model.backbone.dept=18", "dept", "depth"),
        ("mode.backbone.depth=18", "mode", "model"),
        ("param_scheduler.7.end=3", "7", "1"),
        ("model.backbone.depth.more=1", "more", ""),
        ("+model.heads.2.on=True", "2", "1"),
    ],
)
def test_a_wrong_key_is_refused_with_the_nearest_right_one(pair, wrong, right):
    pytest.importorskip("mmengine", reason="needs MMEngine")
    cfg = small()
    with pytest.raises(ModelError) as error:
        set_keys(cfg, [pair])
    assert pair in str(error.value) and repr(wrong) in str(error.value)
    assert right in str(error.value)
    assert cfg == small()


def test_settings_that_nobody_gives_change_nothing():
    cfg = small()
    set_settings(cfg)
    assert cfg == small()


def test_settings():
    cfg = small()
    set_settings(
        cfg,
        frozen_stages=2,
        warmup=7,
        decay_epochs=[5, 8],
        decay_factor=0.3,
        save_every=4,
        log_every=9,
        metric="voc",
    )
    assert cfg["model"]["backbone"] == {"depth": 50, "frozen_stages": 2}
    rises, falls = cfg["param_scheduler"]
    assert (rises["type"], rises["begin"], rises["end"]) == ("LinearLR", 0, 7)
    assert (falls["type"], falls["by_epoch"]) == ("MultiStepLR", True)
    assert (falls["milestones"], falls["gamma"]) == ([5, 8], 0.3)
    hooks = cfg["default_hooks"]
    assert hooks["checkpoint"] == {"interval": 4, "save_best": "coco/segm_mAP_50"}
    assert hooks["logger"]["interval"] == 9


def test_a_cosine_gives_way_to_epochs_that_are_asked_for():
    cfg = {**small(), **adamw()}
    set_settings(cfg, decay_epochs=[5])
    assert [rate["type"] for rate in cfg["param_scheduler"]] == [
        "LinearLR",
        "MultiStepLR",
    ]
    assert cfg["param_scheduler"][1]["gamma"] == 0.1


def test_a_factor_alone_keeps_the_epochs_and_no_warm_up_is_none():
    cfg = small()
    change(cfg["param_scheduler"], gamma=0.1)
    cfg["param_scheduler"][1]["gamma"] = 0.1
    set_settings(cfg, decay_factor=0.5, warmup=0)
    (falls,) = cfg["param_scheduler"]
    assert (falls["milestones"], falls["gamma"]) == ([8, 11], 0.5)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ModelError, match=r"f1.*coco or voc"):
        set_settings(small(), metric="f1")
