"""COCO metrics, overall and by class, of masks and boxes, from one evaluation."""

from __future__ import annotations

from cvtk.metrics.detections import Detections, from_predictions
from cvtk.metrics.evaluation import Metrics, evaluate, evaluate_detections
from cvtk.metrics.truth import GroundTruth, detection_limits, ground_truth

__all__ = [
    "Detections",
    "GroundTruth",
    "Metrics",
    "detection_limits",
    "evaluate",
    "evaluate_detections",
    "from_predictions",
    "ground_truth",
]
