"""The complete configuration: the user's data in the architecture's own pipelines, nothing ignored silently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.runner import set_random_seed

from cvtk.engine.config_files import read_config
from cvtk.errors import OptionError
from cvtk.recipe.nodes import each_dict

RTMDET_INS = "rtmdet-ins_tiny_8xb32-300e_coco"
MASK_RCNN = "mask-rcnn_r50_fpn_1x_coco"


def dataset(cfg):
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    data = cfg.train_dataloader.dataset
    return DATASETS.build(data.dataset if "MultiImageMix" in data.type else data)


def loaded(cfg, number):
    """An image after the first steps of the real pipeline: reading, then annotations."""
    from mmcv.transforms import Compose

    data = dataset(cfg)
    steps = list(cfg.train_dataloader.dataset.pipeline)
    last = next(n for n, s in enumerate(steps) if s["type"] == "LoadAnnotations")
    return Compose(steps[: last + 1])(data.get_data_info(number))


def truth(demo, number):
    coco = json.loads(demo.train.read_text())
    image = coco["images"][number]["id"]
    return [a for a in coco["annotations"] if a["image_id"] == image]


@pytest.mark.parametrize("model", [RTMDET_INS, MASK_RCNN])
def test_no_mask_is_ignored_but_that_of_a_crowd(model, built, demo):
    cfg, seen = built(model), {"rle": 0, "crowd": 0}
    for number in range(4):
        stated = truth(demo, number)
        results = loaded(cfg, number)
        ignored = [bool(flag) for flag in results["gt_ignore_flags"]]
        assert sorted(ignored) == sorted(bool(a["iscrowd"]) for a in stated)
        assert len(results["gt_masks"]) == len(stated)
        seen["crowd"] += sum(ignored)
        seen["rle"] += sum(
            isinstance(a["segmentation"], dict) and not a["iscrowd"] for a in stated
        )
    assert min(seen.values()) > 0, "or this test shows nothing"


def test_masks_are_those_of_the_file(built, demo):
    from pycocotools.coco import COCO

    coco = COCO(str(demo.train))
    for number in range(3):
        stated = [coco.annToMask(a) for a in truth(demo, number) if not a["iscrowd"]]
        results = loaded(built(), number)
        kept = zip(results["gt_masks"].masks, results["gt_ignore_flags"], strict=True)
        masks = [mask for mask, ignored in kept if not ignored]
        assert len(masks) == len(stated)
        for mask, expected in zip(masks, stated, strict=True):
            assert (mask == expected).all()


def test_rtmdets_own_setting_would_ignore_rle(built, demo):
    # What the fitting is for: MMDetection marks every RLE mask as one to ignore.
    cfg = built()
    for step in each_dict(cfg.train_dataloader.dataset.pipeline):
        if "poly2mask" in step:
            step["poly2mask"] = False
    lost = 0
    for number in range(4):
        flags = loaded(cfg, number)["gt_ignore_flags"]
        lost += sum(flags) - sum(a["iscrowd"] for a in truth(demo, number))
    assert lost > 0


def test_a_set_of_polygons_is_loaded_as_the_architecture_has_it(built, demo, tmp_path):
    coco = json.loads(demo.train.read_text())
    kept = [a for a in coco["annotations"] if isinstance(a["segmentation"], list)]
    assert 0 < len(kept) < len(coco["annotations"])
    folder = tmp_path / "polygons"
    shutil.copytree(demo.train.parent, folder)
    (folder / "segm.json").write_text(json.dumps({**coco, "annotations": kept}))

    def settings(cfg):
        return {s["poly2mask"] for s in each_dict(cfg.to_dict()) if "poly2mask" in s}

    assert settings(built(train=str(folder / "segm.json"))) == {False}
    assert settings(built()) == {True}


def test_images_without_annotations_stay(built, demo):
    assert truth(demo, 3) == []
    for model in (RTMDET_INS, MASK_RCNN):
        data = dataset(built(model))
        assert len(data) == 4
        assert data.get_data_info(3)["instances"] == []


def test_the_full_pipeline_gives_what_the_loss_takes(built):
    set_random_seed(0)  # the crops are random, and one may be empty
    data = dataset(built())
    samples = [data[number] for number in range(4)]
    found = [len(s["data_samples"].gt_instances) for s in samples]
    assert sum(found) > 0
    for sample in samples:
        assert tuple(sample["inputs"].shape[1:]) == (96, 96)
        assert (sample["data_samples"].gt_instances.labels <= 2).all()


def test_what_training_needs_is_set(built, demo):
    cfg = built()
    classes = demo.label.read_text().split()
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        assert loader.dataset.metainfo.classes == classes
        assert Path(loader.dataset.ann_file).is_file()
        assert loader.dataset.test_mode is (split != "train")
        assert loader.num_workers == 0
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.val_evaluator.metric == ["bbox", "segm"]
    assert cfg.default_hooks.checkpoint.save_best == "coco/segm_mAP"
    assert cfg.randomness.seed == 3
    assert cfg.train_cfg.max_epochs == 2


def test_without_validation_there_is_none(built):
    cfg = built(valid=None)
    assert cfg.val_dataloader is cfg.val_evaluator is cfg.val_cfg is None


def test_detection_is_judged_by_boxes(built):
    cfg = built("rtmdet_tiny_8xb32-300e_coco", task="det")
    assert cfg.val_evaluator.metric == ["bbox"]
    assert cfg.default_hooks.checkpoint.save_best == "coco/bbox_mAP"


def test_a_mix_of_images_stays_a_mix(built):
    cfg = built("yolox_tiny_8xb8-300e_coco", task="det")
    data = cfg.train_dataloader.dataset
    assert data.type == "MultiImageMixDataset"
    assert data.dataset.type == "CocoDataset"
    assert data.pipeline[0]["type"] == "Mosaic"
    assert len(dataset(cfg)) == 4


def test_the_models_heads_have_the_classes(built):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    head = MODELS.build(built().model).bbox_head
    assert {layer.out_channels for layer in head.rtm_cls} == {3}
    roi = MODELS.build(built("mask-rcnn_r18_fpn_8xb8-amp-lsj-200e_coco").model).roi_head
    assert roi.bbox_head.fc_cls.out_features == 4, "three, and the background"
    assert roi.mask_head.conv_logits.out_channels == 3


def test_a_configuration_file_is_taken_by_its_path(built, tmp_path):
    import mmdet

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (base,) = configs.rglob(f"{RTMDET_INS}.py")
    mine = tmp_path / "my own 2xb4.py"
    mine.write_text(
        f"_base_ = {str(base)!r}\nmodel = dict(test_cfg=dict(max_per_img=7))\n"
    )
    cfg = built(str(mine))
    assert cfg.model.test_cfg.max_per_img == 7
    # 2 images in place of the 8 that its name tells: half of 0.004, doubled from scratch
    assert cfg.optim_wrapper.optimizer.lr == 0.004


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (RTMDET_INS, "segm"),
        (MASK_RCNN, "segm"),
        ("mask2former_r50_8xb2-lsj-50e_coco", "segm"),
        ("faster-rcnn_r50_fpn_1x_coco", "det"),
    ],
)
def test_it_reloads_from_its_file_which_is_safe_to_read(model, task, built, tmp_path):
    cfg = built(model, task)
    cfg.dump(tmp_path / "a.py")
    assert read_config(tmp_path / "a.py").to_dict() == cfg.to_dict()


def test_without_validation_no_epoch_is_better(built):
    with pytest.raises(OptionError, match=r"--early_stop needs --valid"):
        built(early_stop=4, valid=None)


def test_images_that_are_taken_as_large_as_they_are(built):
    name = "centernet_r18_8xb16-crop512-140e_coco"
    with pytest.raises(OptionError, match=r"--image_size: .* Leave it out"):
        built(name, task="det", image_size=96)
    assert built(name, task="det", image_size=None).model.type == "CenterNet"


def test_a_rate_that_does_not_say_where_it_begins(built):
    cfg = built("yolov3_d53_8xb8-ms-416-273e_coco", task="det", epoch=10)
    # of 273 epochs the rate falls after 218 and 246
    assert [r.get("milestones") for r in cfg.param_scheduler][-1] == [8, 9]


def test_mixed_precision_where_there_is_a_gpu(built):
    wrapper = built(amp=True, device="cuda").optim_wrapper
    assert wrapper.type == "AmpOptimWrapper"
    assert wrapper.dtype in ("bfloat16", "float16")


@pytest.mark.parametrize("has", [True, False])
def test_mixed_precision_on_a_cpu_that_has_it(has, built, monkeypatch, caplog):
    monkeypatch.setattr("cvtk.engine.precision.cpu_has_bfloat16", lambda: has)
    wrapper = built(amp=True).optim_wrapper
    if has:
        assert (wrapper.type, wrapper.dtype) == ("AmpOptimWrapper", "bfloat16")
    else:
        assert wrapper.type == "OptimWrapper"
        assert "No mixed precision: this cpu does not have it." in caplog.messages


def test_batches_that_make_a_step_together_count_as_one(built):
    cfg = built(accumulate=8)
    assert cfg.optim_wrapper.accumulative_counts == 8
    # RTMDet's 0.004 is for 256 images; here 2 * 8, doubled from scratch
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(
        0.004 * (16 / 256) ** 0.5 * 2
    )
    assert built().optim_wrapper.accumulative_counts == 1


def test_auto_is_four_images_without_a_gpu(built):
    assert built(batch_size="auto").train_dataloader.batch_size == 4


def test_set_has_the_last_word(built):
    cfg = built(
        lr=0.1, set=["optim_wrapper.optimizer.lr=0.3", "train_cfg.max_epochs=9"]
    )
    assert (cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs) == (0.3, 9)


def test_what_has_an_option_is_set_by_that(built):
    with pytest.raises(OptionError, match=r"randomness\.seed=9: use --seed"):
        built(set=["randomness.seed=9"])


@pytest.mark.parametrize("name", ["max_epochs", "train_pipeline", "base_lr"])
def test_what_would_do_nothing_cannot_be_set(name, built):
    # variables of MMDetection's files: others were made from them already
    with pytest.raises(OptionError, match=name):
        built(set=[f"{name}=3"])


def test_the_settings_of_the_helper_script_reach_the_configuration(built):
    cfg = built(
        MASK_RCNN,
        epoch=24,
        frozen_stages=2,
        warmup=7,
        decay_epochs=[16, 22],
        decay_factor=0.2,
        save_every=3,
        log_every=9,
        metric="voc",
    )
    assert cfg.model.backbone.frozen_stages == 2
    rise, fall = cfg.param_scheduler
    assert (rise.end, fall.milestones, fall.gamma) == (7, [16, 22], 0.2)
    hooks = cfg.default_hooks
    assert (hooks.checkpoint.interval, hooks.logger.interval) == (3, 9)
    assert hooks.checkpoint.save_best == "coco/segm_mAP_50"


def test_several_processes_on_a_cpu_need_no_gpus(built):
    name = "mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-90k_coco"
    one, two = built(name), built(name, processes=2)
    assert "SyncBN" in str(one.model) and "SyncBN" not in str(two.model)
    assert two.launcher == "pytorch"
    assert two.model_wrapper_cfg.device_ids is None
    # 2 * 2 images per step: the learning rate follows
    rates = [cfg.optim_wrapper.optimizer.lr for cfg in (one, two)]
    assert rates[1] == pytest.approx(2 * rates[0], rel=1e-3)


def test_auto_is_for_one_process(built):
    with pytest.raises(OptionError, match="--batch_size auto is for one process"):
        built(batch_size="auto", processes=2)


def test_its_decisions_are_told(built):
    assert built().decisions[:2] == [
        "2 epochs of 2 steps: 4 steps in all.",
        "Learning rate 0.0007071 instead of 0.004: changed with the square root of the batch,"
        " which is 2 images per step, and doubled to train from scratch.",
    ]


def test_the_rule_for_more_than_8_bits_stands_in_the_configuration(built):
    assert built(intensity="percentiles").intensity == "percentiles"
    assert "intensity" not in built(), "by default it is MMDetection's own"
