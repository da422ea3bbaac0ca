"""COCO metrics, overall and by class, from one pass of the evaluation."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any


def coco_stats(
    truth_file: str | Path, predictions: list[dict[str, Any]], iou_type: str
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """AP and AR as pycocotools computes them, over all classes and for each.

    Args:
        truth_file: A COCO file.
        predictions: In COCO's results format, not thresholded.
        iou_type: "segm" for masks, "bbox" for boxes.

    Returns:
        The means over the classes, and the values by class name. A value without
        ground truth is -1.0.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # they print as they go
        truth = COCO(str(truth_file))
        if iou_type == "segm":  # with a box in it, the area of the box would count
            predictions = [{k: v for k, v in p.items() if k != "bbox"} for p in predictions]
        found = truth.loadRes(predictions) if predictions else COCO()
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.params.maxDets = [100, 300, 1000]
        evaluation.params.catIds = [c["id"] for c in truth.dataset["categories"]]
        evaluation.evaluate()
        evaluation.accumulate()
    # precision: IoU x recall x class x area x limit; recall: IoU x class x area x limit
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]

    def mean(values: Any) -> float:
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    def summary(k: Any) -> dict[str, float]:
        ap, ar = precision[:, :, k], recall[:, k]
        stats = {
            "AP@[0.50:0.95|all|100]": mean(ap[..., 0, 0]),
            "AP@[0.50|all|1000]": mean(ap[0][..., 0, 2]),
            "AP@[0.75|all|1000]": mean(ap[5][..., 0, 2]),
        }
        for area, size in enumerate(("small", "medium", "large"), 1):
            stats[f"AP@[0.50:0.95|{size}|1000]"] = mean(ap[..., area, 2])
        for limit, number in enumerate((100, 300, 1000)):
            stats[f"AR@[0.50:0.95|all|{number}]"] = mean(ar[..., 0, limit])
        for area, size in enumerate(("small", "medium", "large"), 1):
            stats[f"AR@[0.50:0.95|{size}|1000]"] = mean(ar[..., area, 2])
        return stats

    names = [c["name"] for c in truth.dataset["categories"]]
    every = slice(None)
    return summary(every), {name: summary([k]) for k, name in enumerate(names)}
