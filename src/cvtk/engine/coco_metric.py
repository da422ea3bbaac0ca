"""Validation in MMEngine with the arithmetic of `cvtk.metrics`, under the names of MMDetection's CocoMetric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub
from numpy.typing import NDArray

from cvtk.errors import DataError, OptionError
from cvtk.io import CocoRLE, encode_mask
from cvtk.metrics import (
    Detections,
    Metrics,
    detection_limits,
    evaluate_detections,
    ground_truth,
)
from cvtk.metrics.detections import Kind, require_size

CLASS_METRICS = "cvtk/class_metrics"
"""Where the message hub holds the last validation's metrics by class: {class: {"segm_mAP": 0.5, ...}}."""

_KINDS = ("bbox", "segm")
_MASKS_AT_ONCE = 32
# What MMDetection's names stand for: IoU and size in the keys of `Metrics.stats`; the limit is added.
_NAMES = {
    "mAP_50": "0.50|all",
    "mAP_75": "0.75|all",
    "mAP_s": "0.50:0.95|small",
    "mAP_m": "0.50:0.95|medium",
    "mAP_l": "0.50:0.95|large",
}


@dataclass(frozen=True, slots=True)
class _ImageResult:
    """What was found in one image, small enough to be kept until all images are done.

    Attributes:
        image_id: As in the annotation file.
        bboxes: (N, 4) x, y, width and height in pixels.
        labels: (N,) indices of the classes.
        scores: (N,) of the boxes.
        mask_scores: (N,) of the masks; of most detectors the same.
        masks: N compressed RLE, or None of a detector of boxes.
    """

    image_id: int | str
    bboxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    mask_scores: NDArray[np.float64]
    masks: list[CocoRLE] | None


@METRICS.register_module()
class CvtkCocoMetric(BaseMetric):  # type: ignore[misc]
    """COCO's AP of masks and boxes after each epoch.

    The names and the rounding are those of MMDetection's CocoMetric: `coco/segm_mAP`, `coco/segm_mAP_50`, ...
    in three decimals. Other than that one, it keeps no dense masks, says 0.0 where nothing at all was found,
    follows the data where images hold more than 100 objects, says nothing on the console, and has metrics by
    class, in `class_metrics` and in the message hub under `CLASS_METRICS`.

    Attributes:
        class_metrics: The last evaluation's metrics by class and name, without prefix; -1.0 where the class
            has no object.
        metrics: The last evaluation in full, by kind.

    Args:
        ann_file: The COCO file with the true objects.
        metric: "bbox", "segm", or both; a model of boxes has no "segm".
        proposal_nums: How many detections per image and class count, ascending; None follows the data.
        collect_device: Where results of several processes are brought together, "cpu" or "gpu".
        prefix: What the names start with.

    Raises:
        OptionError: A metric is unknown.
        DataError: The annotations cannot be used.
    """

    default_prefix = "coco"

    def __init__(
        self,
        ann_file: str,
        metric: str | Sequence[str] = "bbox",
        proposal_nums: Sequence[int] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        names = [metric] if isinstance(metric, str) else list(metric)
        unknown = [name for name in names if name not in _KINDS]
        if unknown:
            raise OptionError(
                f"The metric {unknown[0]!r} is unknown.", "Name 'bbox', 'segm' or both."
            )
        self.kinds = cast(list[Kind], names)
        self.truth = ground_truth(ann_file, masks="segm" in names)
        self.limits = tuple(proposal_nums or detection_limits(self.truth))
        self.class_metrics: dict[str, dict[str, float]] = {}
        self.metrics: dict[str, Metrics] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps what was found in a batch of images, masks as RLE.

        Args:
            data_batch: Not used.
            data_samples: Of each image `img_id` and `pred_instances`: `bboxes` as x1, y1, x2, y2, `scores`,
                `labels`, and of a model of masks `masks` (N, H, W) or RLE, with `mask_scores` if they differ.
        """
        self.results.extend(_image_result(sample) for sample in data_samples)

    def compute_metrics(self, results: list[_ImageResult]) -> dict[str, float]:
        """The metrics of all images, rounded as MMDetection does; kept by class as well."""
        rounded: dict[str, float] = {}
        self.class_metrics = {name: {} for name in self.truth.class_order}
        for kind in self.kinds:
            metrics = evaluate_detections(
                self.truth, self._detections(results, kind), kind, self.limits
            )
            self.metrics[kind] = metrics
            rounded.update(_as_mmdet(metrics, metrics.stats))
            for name, values in metrics.class_stats.items():
                self.class_metrics[name].update(_as_mmdet(metrics, values))
        hub = MessageHub.get_current_instance()
        hub.update_info(CLASS_METRICS, self.class_metrics, resumed=False)
        return rounded

    def _detections(self, results: list[_ImageResult], kind: Kind) -> Detections:
        """The results of all images as columns."""
        images = [self._image_number(result) for result in results]
        counts = [len(result.labels) for result in results]
        labels = _joined([result.labels for result in results], np.zeros(0, np.int64))
        boxes = _joined([result.bboxes for result in results], np.zeros((0, 4)))
        scores = [
            result.mask_scores if kind == "segm" else result.scores
            for result in results
        ]
        return Detections(
            image=np.repeat(np.array(images, dtype=np.int64), counts),
            category=self._category_numbers()[labels],
            bbox=boxes,
            score=_joined(scores, np.zeros(0)),
            masks=self._masks(results) if kind == "segm" else None,
        )

    def _masks(self, results: list[_ImageResult]) -> list[CocoRLE]:
        """The masks of all images."""
        masks: list[CocoRLE] = []
        for result in results:
            if result.masks is None:
                raise OptionError(
                    "The model finds boxes and no masks, so there is no metric 'segm'.",
                    "Set the metric to 'bbox'.",
                )
            for mask in result.masks[:1]:  # all of an image are of one size
                require_size(self.truth, self._image_number(result), mask)
            masks.extend(result.masks)
        return masks

    def _image_number(self, result: _ImageResult) -> int:
        number = self.truth.image_numbers.get(result.image_id)
        if number is None:
            raise DataError(
                f"The model was shown the image {result.image_id!r}, which {self.truth.file} does not have.",
                "The evaluator's ann_file and that of the data set must be the same.",
            )
        return number

    def _category_numbers(self) -> NDArray[np.int64]:
        """The number of the category of each label; the data set knows the class names of the labels."""
        numbers = {name: n for n, name in enumerate(self.truth.classes, 1)}
        classes = (self.dataset_meta or {}).get("classes", self.truth.class_order)
        missing = [name for name in classes if name not in numbers]
        if missing:
            raise DataError(
                f"{self.truth.file} has no class {missing[0]!r}, which the model was trained for.",
                "The classes must be those of the label file.",
            )
        return np.array([numbers[name] for name in classes], dtype=np.int64)


def _image_result(sample: dict[str, Any]) -> _ImageResult:
    """Takes what was found in an image to the CPU."""
    found = sample["pred_instances"]
    corners = found["bboxes"].detach().cpu().numpy().astype(np.float64).reshape(-1, 4)
    scores = mask_scores = _scores(found["scores"])
    if "mask_scores" in found:  # Mask Scoring R-CNN judges the mask apart from the box
        mask_scores = _scores(found["mask_scores"])
    return _ImageResult(
        image_id=sample["img_id"],
        bboxes=np.hstack((corners[:, :2], corners[:, 2:] - corners[:, :2])),
        labels=found["labels"].detach().cpu().numpy().astype(np.int64),
        scores=scores,
        mask_scores=mask_scores,
        masks=_encode(found["masks"]) if "masks" in found else None,
    )


def _scores(scores: torch.Tensor) -> NDArray[np.float64]:
    """Scores as an array; one that is not a number ranks last, as in pycocotools."""
    values = scores.detach().cpu().numpy().astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def _encode(masks: Any) -> list[CocoRLE]:
    """Packs masks (N, H, W), some at a time, so that few of them lie in memory twice."""
    if not isinstance(masks, torch.Tensor):
        return [mask if isinstance(mask, dict) else encode_mask(mask) for mask in masks]
    packed: list[CocoRLE] = []
    for start in range(0, len(masks), _MASKS_AT_ONCE):
        some = masks[start : start + _MASKS_AT_ONCE].detach().cpu().numpy()
        packed.extend(encode_mask(mask) for mask in some)
    return packed


def _joined(parts: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    """All parts in one array, which NumPy refuses where there are none."""
    return np.concatenate([empty, *parts])


def _as_mmdet(metrics: Metrics, stats: dict[str, float]) -> dict[str, float]:
    """The six APs under MMDetection's names, in its three decimals (`CocoMetric.compute_metrics`)."""
    last = metrics.limits[-1]
    values = {"mAP": stats[metrics.headline]}
    values |= {name: stats[f"AP@[{what}|{last}]"] for name, what in _NAMES.items()}
    return {
        f"{metrics.kind}_{name}": float(np.round(value, 3))
        for name, value in values.items()
    }
