"""A run card as a training leaves it, for the tests of what is told of it."""

from __future__ import annotations


def interval(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def facts(images, **by_class):
    return {"images": images, "objects": sum(by_class.values()), "by_class": by_class}


CARD = {
    "model": {
        "architecture": "mask-rcnn_r50_fpn_1x_coco",
        "family": "Mask R-CNN",
        "paper": "Mask R-CNN",
        "paper_url": "https://arxiv.org/abs/1703.06870v3",
        "task": "segm",
        "classes": ["leaf", "stem"],
    },
    "weights": {"epoch": 20},
    "data": {
        "train": facts(60, leaf=200, stem=105),
        "valid": facts(12, leaf=40, stem=21),
        "test": facts(1, leaf=1, stem=0),
    },
    "options": {"weights": "coco", "image_size": 320, "seed": 7, "aim": "f1"},
    "training": {
        "epochs": 24,
        "images_per_step": 4,
        "optimizer": "SGD",
        "lr": 0.005,
        "transforms": ["Resize", "RandomFlip"],
        "resumed": False,
        "seconds": 600,
    },
    "validation": {"mask AP": 0.52, "mask AP50": 0.9},
    "cut_at": {"by_class": {"leaf": 0.42, "stem": 0.35}, "common": 0.4},
    "test": {
        "overall": {
            "AP": interval(0.5, 0.4, 0.6),
            "AP50": interval(0.75, 0.7, 0.8),
            "precision": interval(0.9, 0.85, 0.95),
            "recall": interval(0.8, 0.75, 0.85),
            "F1": interval(0.85, 0.8, 0.9),
        }
    },
    "machine": {"gpu": "", "cpus": 8},
    "versions": {"cvtk": "0.2.0", "mmdet": "3.4.0", "torch": "2.6.0"},
}
