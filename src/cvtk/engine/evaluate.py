"""COCO's metrics of trained weights on an annotated set, overall and by class, and a report on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from cvtk import data
from cvtk.analysis.drawings import FOLDER as FIGURES
from cvtk.analysis.drawings import draw, write_figures
from cvtk.analysis.evaluation import Evaluation
from cvtk.analysis.report import Trainings, write_report
from cvtk.analysis.review import FILE as REVIEW
from cvtk.analysis.review import write_review
from cvtk.analysis.study import Study, study
from cvtk.analysis.tables import write_tables
from cvtk.analysis.thresholds import Thresholds
from cvtk.data import checks
from cvtk.data.grouping import note_alike, noted_groups
from cvtk.data.images import resolve
from cvtk.data.predictions import Predictions, write_results
from cvtk.data.reading import USUAL, Reading
from cvtk.data.sources import ImageSource
from cvtk.engine.evaluated import PREDICTIONS, STATS
from cvtk.engine.progress import Progress
from cvtk.engine.spec import ModelSpec
from cvtk.engine.streaming import AnyPredictor
from cvtk.engine.thresholds import thresholds_on
from cvtk.engine.tiling import Tiling
from cvtk.engine.training_data import align_categories
from cvtk.io import atomic_write, require_free, require_free_folder
from cvtk.log import logger
from cvtk.metrics import evaluate as metrics_of
from cvtk.metrics import ground_truth
from cvtk.metrics.detections import Kind
from cvtk.options import EvaluateOptions

Statistics: TypeAlias = dict[str, Any]
REPORT = "report.html"
TABLES = ("metrics.csv", "images.csv", "objects.csv")
KIND_NAMES = {"segm": "mask", "bbox": "box"}


def evaluate(predictor: AnyPredictor, options: EvaluateOptions) -> Evaluation:
    """Evaluates; writes to the folder of the options, if there is one.

    Returns:
        `stats` and `class_stats`; for masks also `bbox_stats` and `bbox_class_stats`.
    """
    file, folder = Path(options.data), options.output
    if folder is not None:
        folder = Path(folder)
        for name in (STATS, PREDICTIONS, REPORT, REVIEW, *TABLES):
            require_free(folder / name, force=options.force)
        require_free_folder(folder / FIGURES, force=options.force)
    truth = read_truth(file, predictor.spec, predictor.reading)
    tiling = predictor.tiling(options)
    if folder is not None:
        return evaluate_to_files(
            predictor, truth, folder, folder / STATS, force=options.force, tiling=tiling
        )
    statistics, predictions = measure(predictor, truth, tiling)
    thresholds = thresholds_on(predictor.thresholds, truth)
    analyse = partial(study, truth, predictions, predictor.spec.kind, thresholds)
    return Evaluation(statistics, analyse)


def read_truth(file: Path, spec: ModelSpec, reading: Reading = USUAL) -> data.Dataset:
    """An annotated set that a model can be evaluated on, with a note of images that look alike.

    Raises:
        FileError: The file or an image is missing.
        DataError: Annotations or images cannot be used; the message names the item.
    """
    truth = data.read(file)
    checks.require_trainable(truth, spec.classes, spec.task, train=False)
    note_alike(truth, checks.require_images(truth, reading))
    return truth


def evaluate_to_files(
    predictor: AnyPredictor,
    truth: data.Dataset,
    folder: Path,
    stats_file: Path,
    *,
    force: bool,
    tiling: Tiling | None = None,
) -> Evaluation:
    """Evaluates, and writes the statistics and the predictions, then the report and its tables.

    Args:
        predictor: A model with weights.
        truth: The annotated set, checked.
        folder: For the predictions, `test_outputs.coco.json`, and for `report.html` and the tables.
        stats_file: For the statistics.
        force: Whether results may be replaced.
        tiling: How images are cut; None where they are not.
    """
    statistics, predictions = measure(predictor, truth, tiling)
    thresholds = thresholds_on(predictor.thresholds, truth)
    if thresholds is not None:
        statistics["cut_at"] = thresholds.by_class
    write_statistics(statistics, predictions, folder, stats_file, force=force)
    analysed = write_analysis(
        predictor.spec, truth, predictions, folder, thresholds, force=force
    )
    report = None if analysed is None else folder / REPORT
    return Evaluation(statistics, lambda: analysed, report)


def write_statistics(
    statistics: Statistics,
    predictions: Sequence[Mapping[str, Any]],
    folder: Path,
    stats_file: Path,
    *,
    force: bool,
) -> None:
    """Writes the predictions to a folder, and the statistics to a file; says their summary."""
    write_results(folder / PREDICTIONS, predictions, force=force)
    with atomic_write(stats_file, force=force) as part:
        text = json.dumps(statistics, indent=4, ensure_ascii=False)
        part.write_text(text, encoding="utf-8")
    logger.info(f"{statistics['summary']}: see {stats_file}")


def write_analysis(
    spec: ModelSpec,
    truth: data.Dataset,
    predictions: Sequence[Mapping[str, Any]],
    folder: Path,
    thresholds: Thresholds | None = None,
    trainings: Trainings | None = None,
    *,
    force: bool,
) -> Study | None:
    """Writes `report.html` and the tables. Where that fails it says so: the metrics are written already.

    Args:
        spec: The model, whose weights tell where the curves of its training are.
        truth: The annotated set, checked.
        predictions: All of them, in COCO's results format.
        folder: Where to.
        thresholds: The scores to cut at that were chosen for the weights, if there are any.
        trainings: What the report says of several trainings, if there are any.
        force: Whether files may be replaced.

    Returns:
        The analysis; None where it failed.
    """
    training = spec.weights.with_suffix("") if spec.weights else None
    try:
        analysed = study(truth, predictions, spec.kind, thresholds)
        write_tables(analysed, folder, force=force)
        write_review(analysed, folder / REVIEW, force=force)
        drawings, classes = draw(analysed), analysed.matches.truth.class_order
        if drawings:
            write_figures(drawings, classes, folder / FIGURES, force=force)
        write_report(
            analysed, drawings, folder / REPORT, training, trainings, force=force
        )
    except Exception as error:  # whatever it is: hours of training must not end in it
        reason = str(error) or type(error).__name__
        logger.warning(
            f"{folder / REPORT} could not be written ({reason}). The metrics are complete."
        )
        return None
    logger.info(f"What went wrong, with the worst cases: see {folder / REPORT}")
    return analysed


def measure(
    predictor: AnyPredictor, truth: data.Dataset, tiling: Tiling | None = None
) -> tuple[Statistics, Predictions]:
    """The statistics on an annotated set, and all predictions; see `predict_all`."""
    predictions = predict_all(predictor, truth, tiling)
    task = predictor.spec.task
    augmented = predictor.is_augmented
    statistics = statistics_of(truth, predictions, task, tiling, augmented=augmented)
    return statistics, predictions


def predict_all(
    predictor: AnyPredictor, truth: data.Dataset, tiling: Tiling | None = None
) -> Predictions:
    """All predictions for an annotated set, not thresholded, with the set's own ids."""
    spec = predictor.spec
    category_ids = dict(
        zip(spec.category_ids, align_categories(truth, spec.classes), strict=True)
    )
    images = [
        ImageSource(
            resolve(truth.folder, image.file_name),
            image.file_name,
            image.id,
            listed_in=truth.file,
        )
        for image in truth.images
    ]
    predictions, progress = Predictions(), Progress(len(images))
    results = predictor.predict(images, batch_size=1, score=0, tiling=tiling)
    for image, result in zip(images, results, strict=True):
        found = result.to_coco(image.id)
        for item in found:
            item["category_id"] = category_ids[item["category_id"]]
        predictions.extend(found)
        progress.step()
    progress.clear()
    return predictions


def statistics_of(
    dataset: data.Dataset,
    predictions: Sequence[Mapping[str, Any]],
    task: str,
    tiling: Tiling | None = None,
    *,
    augmented: bool = False,
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
    report["computed_on"] = f"{dataset.file}, {len(dataset.images)} images"
    if tiling:
        report["computed_on"] += f" in tiles of {tiling.size} pixels"
    if augmented:
        report["computed_on"] += ", with test-time augmentation"
    together = noted_groups(dataset)
    if together:
        report["groups"] = together
    report["summary"] = f"{', '.join(headlines)} on {report['computed_on']}"
    report["note"] = " ".join(notes)
    return report
