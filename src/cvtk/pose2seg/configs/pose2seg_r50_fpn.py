"""Pose2Seg with ResNet-50 and FPN, as it was published: https://arxiv.org/abs/1803.10683.

The keypoints, limbs and pairs are those of COCO's people. A training puts those of its data in their place, with
templates that it clusters from them.
"""

custom_imports = {"imports": ["cvtk.pose2seg"], "allow_failed_imports": False}

# --- model ----------------------------------------------------------------------------

keypoints = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
]
limbs = [
    *([15, 13], [13, 11], [16, 14], [14, 12], [11, 12], [5, 11], [6, 12]),
    *([5, 6], [5, 7], [6, 8], [7, 9], [8, 10], [1, 2], [0, 1], [0, 2]),
    *([1, 3], [2, 4], [3, 5], [4, 6]),
]
pairs = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16]]

model = {
    "type": "Pose2Seg",
    "data_preprocessor": {
        "type": "DetDataPreprocessor",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
        "pad_mask": True,
        "pad_size_divisor": 32,
    },
    "backbone": {
        "type": "ResNet",
        "depth": 50,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "frozen_stages": 1,
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "norm_eval": True,
        "style": "pytorch",
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"},
    },
    "neck": {
        "type": "FPN",
        "in_channels": [256, 512, 1024, 2048],
        "out_channels": 256,
        "num_outs": 4,  # the finest is used
    },
    # Not batch normalization as published: what that keeps for predictions is an average over many steps, and in a
    # short training the weights run away from it.
    "mask_head": {"type": "SegModule", "norm_cfg": {"type": "GN", "num_groups": 32}},
    "keypoints": keypoints,
    "limbs": limbs,
    "pairs": pairs,
    "templates": [],
    "share": 8,  # of the image, as the network sees it: 64 pixels for an object
    "least_side": 32,  # of small images
    "train_cfg": {
        "templates": 3,  # clusters of poses
        "max_objects": 8,  # of a batch; more are left out by chance
        "turn": 30,  # how much the view of an object varies: degrees,
        "scale": (0.8, 1.2),
        "shift": 0.1,  # and sides of its square
    },
    "test_cfg": {"threshold": 0.5},
}

# --- data -----------------------------------------------------------------------------

image_size = (512, 512)
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
    {"type": "LoadPoses", "count": len(keypoints)},
    {"type": "Resize", "scale": image_size, "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackPoses", "pairs": pairs},
]
test_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadPoses", "count": len(keypoints)},
    {"type": "Resize", "scale": image_size, "keep_ratio": True},
    {"type": "PackPoses", "pairs": pairs},
]


train_dataloader = {
    "batch_size": 4,
    "num_workers": 2,
    "persistent_workers": True,
    "sampler": {"type": "DefaultSampler", "shuffle": True},
    "dataset": {
        "type": "PoseDataset",
        "data_root": "data/coco/",
        "ann_file": "annotations/person_keypoints_train2017.json",
        "data_prefix": {"img": "train2017/"},
        "metainfo": {"classes": ("person",)},
        "pipeline": train_pipeline,
    },
}
val_dataloader = test_dataloader = {
    "batch_size": 1,
    "num_workers": 2,
    "persistent_workers": True,
    "drop_last": False,
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "dataset": {
        "type": "PoseDataset",
        "data_root": "data/coco/",
        "ann_file": "annotations/person_keypoints_val2017.json",
        "data_prefix": {"img": "val2017/"},
        "metainfo": {"classes": ("person",)},
        "test_mode": True,
        "pipeline": test_pipeline,
    },
}
val_evaluator = test_evaluator = {
    "type": "CocoMetric",
    "ann_file": "data/coco/annotations/person_keypoints_val2017.json",
    "metric": ["bbox", "segm"],
}

# --- schedule -------------------------------------------------------------------------

train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 25, "val_interval": 1}
val_cfg = {"type": "ValLoop"}
test_cfg = {"type": "TestLoop"}
optim_wrapper = {"type": "OptimWrapper", "optimizer": {"type": "Adam", "lr": 0.0002}}
param_scheduler = [
    {
        "type": "LinearLR",
        "start_factor": 0.001,
        "by_epoch": False,
        "begin": 0,
        "end": 1000,
    },
    {
        "type": "MultiStepLR",
        "by_epoch": True,
        "begin": 0,
        "end": 25,
        "milestones": [15, 20],
        "gamma": 0.1,
    },
]
auto_scale_lr = {"enable": False, "base_batch_size": 4}

# --- runner ---------------------------------------------------------------------------

default_scope = "mmdet"
default_hooks = {
    "timer": {"type": "IterTimerHook"},
    "logger": {"type": "LoggerHook", "interval": 50},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "visualization": {"type": "DetVisualizationHook"},
}
env_cfg = {
    "cudnn_benchmark": False,
    "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
    "dist_cfg": {"backend": "nccl"},
}
vis_backends = [{"type": "LocalVisBackend"}]
visualizer = {
    "type": "DetLocalVisualizer",
    "vis_backends": vis_backends,
    "name": "visualizer",
}
log_processor = {"type": "LogProcessor", "window_size": 50, "by_epoch": True}
log_level = "INFO"
load_from = None
resume = False
find_unused_parameters = True  # the neck's coarser levels take no part
