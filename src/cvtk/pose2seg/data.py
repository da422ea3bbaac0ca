"""How poses reach the network: a data set of MMDetection, and the steps of its pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.structures import InstanceData

from .alignment import Pairs, swapped
from .poses import pose_of


@DATASETS.register_module(force=True)
class PoseDataset(CocoDataset):  # type: ignore[misc]
    """MMDetection's `CocoDataset`, whose instances have `keypoints` (K, 3) and `score` too."""

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """An image with its objects. MMDetection leaves some out, so that each is asked for by itself."""
        parse = super().parse_data_info
        info: dict[str, Any] = parse({**raw_data_info, "raw_ann_info": []})
        for annotation in raw_data_info["raw_ann_info"]:
            for instance in parse({**raw_data_info, "raw_ann_info": [annotation]})[
                "instances"
            ]:
                info["instances"].append({**instance, **pose_of(annotation)})
        return info


@TRANSFORMS.register_module(force=True)
class LoadPoses(BaseTransform):  # type: ignore[misc]
    """Takes the poses of an image's instances, in pixels of the image as it was read.

    Args:
        count: Of the keypoints of each.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds `pose_keypoints` (N, K, 3), `pose_labels`, `pose_scores` and `pose_ignored`, each (N,)."""
        instances = results["instances"]
        poses = [one["keypoints"] or [[0, 0, 0]] * self.count for one in instances]
        keypoints = np.array(poses, np.float32).reshape(-1, self.count, 3)
        results["pose_keypoints"] = keypoints
        results["pose_labels"] = np.array([i["bbox_label"] for i in instances], int)
        scores = [one["score"] for one in instances]
        results["pose_scores"] = np.array(scores, np.float32)
        results["pose_ignored"] = np.array([i["ignore_flag"] for i in instances], bool)
        return results


@TRANSFORMS.register_module(force=True)
class PackPoses(PackDetInputs):  # type: ignore[misc]
    """MMDetection's last step, which packs `poses` too: where resizing and mirroring have brought them.

    Steps that leave objects out, such as crops, do not go with it.

    Args:
        pairs: Keypoints that change places in a mirror.
        **own: As for MMDetection's step.
    """

    def __init__(self, pairs: Pairs, **own: Any) -> None:
        super().__init__(**own)
        self.pairs = pairs

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs an image with its poses, those of objects that count."""
        packed: dict[str, Any] = super().transform(results)
        keypoints = results["pose_keypoints"].copy()
        change = results.get("homography_matrix", np.eye(3))
        keypoints[..., :2] = keypoints[..., :2] @ change[:2, :2].T + change[:2, 2]
        if np.linalg.det(change[:2, :2]) < 0:
            keypoints = keypoints[:, swapped(keypoints.shape[1], self.pairs)]
        ignored = results.get("gt_ignore_flags", results["pose_ignored"])
        kept = np.flatnonzero(~np.asarray(ignored, bool))
        packed["data_samples"].poses = InstanceData(
            keypoints=torch.from_numpy(keypoints[kept]),
            labels=torch.from_numpy(results["pose_labels"][kept]),
            scores=torch.from_numpy(results["pose_scores"][kept]),
        )
        return packed
