"""COCO's metrics of trained weights on an annotated set, overall and by class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk import data
from cvtk.data import checks
from cvtk.data.sources import list_images
from cvtk.engine.predict import Predictor
from cvtk.engine.training_data import align_categories
from cvtk.io import atomic_write, require_free
from cvtk.log import logger
from cvtk.metrics import evaluate as metrics_of
from cvtk.metrics import ground_truth
from cvtk.metrics.detections import Kind
from cvtk.options import EvaluateOptions

Statistics = dict[str, Any]
STATS, PREDICTIONS = "test_stats.json", "test_outputs.coco.json"
KIND_NAMES = {"segm": "mask", "bbox": "box"}


def evaluate(predictor: Predictor, options: EvaluateOptions) -> Statistics:
    """Evaluates; writes to the folder of the options, if there is one.

    Returns:
        `stats` and `class_stats`; for masks also `bbox_stats` and `bbox_class_stats`.
    """
    if options.output is None:
        return measure(predictor, Path(options.data))[0]
    folder = Path(options.output)
    return evaluate_to_files(predictor, options, folder, folder / STATS)


def evaluate_to_files(
    predictor: Predictor, options: EvaluateOptions, folder: Path, stats_file: Path
) -> Statistics:
    """Evaluates, and writes the statistics and the predictions.

    Args:
        predictor: A model with weights.
        options: The data, and whether results may be replaced.
        folder: For the predictions, `test_outputs.coco.json`.
        stats_file: For the statistics.
    """
    file = Path(options.data)
    for result in (stats_file, folder / PREDICTIONS):
        require_free(result, force=options.force)
    statistics, predictions = measure(predictor, file)
    for result, content, indent in (
        (folder / PREDICTIONS, predictions, None),
        (stats_file, statistics, 4),
    ):
        with atomic_write(result, force=options.force) as part:
            text = json.dumps(content, indent=indent, ensure_ascii=False)
            part.write_text(text, encoding="utf-8")
    logger.info(f"{statistics['summary']}: see {stats_file}")
    return statistics


def measure(
    predictor: Predictor, file: Path
) -> tuple[Statistics, list[dict[str, Any]]]:
    """The statistics on a COCO file, and all predictions, not thresholded, with the file's own ids."""
    spec = predictor.spec
    dataset = data.read(file)
    checks.require_trainable(dataset, spec.classes, spec.task, train=False)
    category_ids = dict(
        zip(spec.category_ids, align_categories(dataset, spec.classes), strict=True)
    )
    images = list_images(file)
    predictions: list[dict[str, Any]] = []
    results = predictor.predict(images, batch_size=1, score=0)
    for image, result in zip(images, results, strict=True):
        for item in result.to_coco(image.id, len(predictions) + 1):
            item["category_id"] = category_ids[item["category_id"]]
            predictions.append(item)
    return statistics_of(dataset, predictions, spec.task, file), predictions


def statistics_of(
    dataset: data.Dataset, predictions: list[dict[str, Any]], task: str, file: Path
) -> Statistics:
    """What is written of an evaluation: the metrics of masks and boxes, and what they were computed on."""
    report: Statistics = {}
    kinds: tuple[Kind, ...] = ("segm", "bbox") if task == "segm" else ("bbox",)
    headlines = []
    notes: list[str] = []
    truth = ground_truth(dataset, masks=task == "segm")
    for kind in kinds:
        metrics = metrics_of(truth, predictions, kind)
        prefix = "bbox_" if report else ""
        report[f"{prefix}stats"] = metrics.stats
        report[f"{prefix}class_stats"] = metrics.class_stats
        value = metrics.stats[metrics.headline]
        headlines.append(f"{KIND_NAMES[kind]} AP {value:.3f}")
        notes += [note for note in metrics.notes if note not in notes]
    report["computed_on"] = f"{file}, {len(dataset.images)} images"
    report["summary"] = f"{', '.join(headlines)} on {report['computed_on']}"
    report["note"] = " ".join(notes)
    return report
