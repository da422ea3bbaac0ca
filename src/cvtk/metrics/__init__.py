"""COCO metrics, overall and by class, of masks and boxes, from one evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cvtk.metrics.detections import Detections, from_predictions
from cvtk.metrics.evaluation import Metrics, evaluate, evaluate_detections
from cvtk.metrics.truth import GroundTruth, detection_limits, ground_truth

__all__ = [
    "Detections",
    "GroundTruth",
    "Metrics",
    "coco_stats",
    "detection_limits",
    "evaluate",
    "evaluate_detections",
    "fast_evaluator",
    "from_predictions",
    "ground_truth",
]


def coco_stats(
    truth: str | Path,
    predictions: list[dict[str, Any]],
    iou_type: Literal["segm", "bbox"],
    evaluator: Any = None,
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The metrics overall and by class, as callers of `evaluate`'s predecessor expect them."""
    metrics = evaluate(truth, predictions, iou_type)
    return metrics.stats, metrics.class_stats


def fast_evaluator() -> Any:
    """None: `evaluate` finds the quickest arithmetic by itself. For callers of `coco_stats`."""
    return None
