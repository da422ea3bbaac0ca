"""Configurations that several tests fit: two schedules in short, and MMDetection's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvtk.options import TrainOptions
from cvtk.recipe.data import dataset_of
from cvtk.recipe.fit import fit_config
from cvtk.recipe.runner_keys import keep_runner_keys

RTMDET = "rtmdet-ins_tiny_8xb32-300e_coco"  # 8 GPUs with 32 images, 300 epochs
MASK_RCNN = "mask-rcnn_r50_fpn_1x_coco"  # 8 GPUs with 2 images, 12 epochs

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


def original(name):
    """One of MMDetection's own configurations, as plain dicts."""
    mmdet = pytest.importorskip("mmdet", reason="needs MMDetection")
    from mmengine.config import Config

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (file,) = configs.rglob(f"{name}.py")
    return Config.fromfile(file, import_custom_modules=False).to_dict()


def options(**changes):
    """48 epochs in batches of 4 images, unless a test says otherwise."""
    few = {"output_weights": "out/a.pth", "epoch": 48, "batch_size": 4}
    return TrainOptions("train.json", **{**few, **changes})


def fitted(name, images=60, task="segm", rle=False, more=None, **changes):
    """A configuration of MMDetection, fitted to three classes: 60 images are 15 steps of 4 images.

    `more` are other arguments of `fit_config`; the rest are options.
    """
    chosen = options(**changes)
    datasets = {
        split: dataset_of(f"used_{split}.json", "/data", ["a", "b", "c"], [1, 2, 3])
        for split in chosen.annotation_files
    }
    cfg = keep_runner_keys(original(name))
    fit_config(cfg, name, task, datasets, images, rle, chosen, **(more or {}))
    return cfg
