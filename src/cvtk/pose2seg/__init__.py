"""Pose2Seg: masks of objects that are given by their keypoints, and not by boxes.

Zhang et al. (2019), "Pose2Seg: Detection Free Human Instance Segmentation", https://arxiv.org/abs/1803.10683. Two
people who embrace share a box, but not a skeleton. Here the objects may be of any kind that has keypoints.

This folder needs MMDetection and nothing else: `cvtk create --vanilla` puts a copy of it beside the script. Where a
process imports the copy too, that is what MMDetection's registries have from then on.
"""

from __future__ import annotations

from . import data, network
from .poses import PoseError, fit_poses, read_poses, require_poses

__all__ = [
    "PoseError",
    "data",
    "fit_poses",
    "network",
    "read_poses",
    "require_poses",
]
