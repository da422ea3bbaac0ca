"""Cross-validation: every image is predicted by a model that has not seen it, and all predictions make one evaluation."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from cvtk import data
from cvtk.data.split import split
from cvtk.engine.evaluate import (
    Statistics,
    statistics_of,
    write_analysis,
    write_statistics,
)
from cvtk.engine.evaluated import PREDICTIONS, STATS, read_evaluated
from cvtk.engine.processes import several_started
from cvtk.engine.spec import ModelSpec
from cvtk.engine.train import train
from cvtk.engine.training_data import align_categories
from cvtk.errors import OptionError
from cvtk.io import is_file, require_free_folder
from cvtk.log import logger
from cvtk.options import TrainOptions


def train_folds(spec: ModelSpec, options: TrainOptions) -> Statistics:
    """Trains as many models as there are folds, each without the images of one, which it predicts then.

    Images that look alike are never in two folds. Of `outputs/a.pth` the models are `outputs/a.fold1.pth` and
    so on, with all files of a training; `outputs/a.folds` is the evaluation of all images together. With
    `resume`, folds that are done are left as they are, and one that was stopped goes on.

    Args:
        spec: The architecture and its classes.
        options: The user's choices; `folds` is set.

    Returns:
        The statistics of all images.

    Raises:
        CvtkError: Data, weights or options that cannot be used; the message says why.
    """
    assert options.folds is not None
    if several_started():
        raise OptionError(
            "Cross-validation is for one process.", "Start it without torchrun or srun."
        )
    name = options.output.with_suffix("")
    folder = name.with_name(f"{name.name}.folds")
    require_free_folder(folder, force=options.force or options.resume)
    dataset = data.read(options.train)
    parts = split(dataset, folds=options.folds, seed=options.seed)
    for note in parts.notes:
        logger.info(note)
    predictions: list[dict[str, Any]] = []
    told = []
    for number in range(1, options.folds + 1):
        held_out = parts.parts[f"fold{number}.valid"]
        images = {
            "train": parts.parts[f"fold{number}.train"],
            "test": held_out,
        }
        found, stats = _train_fold(spec, options, images, number)
        for prediction in found:
            predictions.append({**prediction, "id": len(predictions) + 1})
        told.append({"fold": number, "images": len(held_out.images), **stats})
    return _evaluate(spec, dataset, predictions, told, folder)


def _train_fold(
    spec: ModelSpec,
    options: TrainOptions,
    images: dict[str, data.Dataset],
    number: int,
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Trains one fold, unless that is done; its predictions and its AP."""
    assert options.folds is not None
    name = options.output.with_suffix("")
    weights = name.with_name(f"{name.name}.fold{number}.pth")
    own = replace(options, output_weights=weights, folds=None, test=options.train)
    count = f"Fold {number} of {options.folds}"
    stats_file = weights.with_name(f"{weights.stem}.{STATS}")
    is_done = is_file(weights) and is_file(stats_file)
    if options.resume and is_done and is_file(own.workspace / PREDICTIONS):
        logger.info(f"{count} is done: {weights}.")
    else:
        held_out, rest = len(images["test"].images), len(images["train"].images)
        logger.info(f"{count}: learns from {rest} images, is tested on {held_out}.")
        if options.valid is not None:
            images = {**images, "valid": data.read(options.valid)}
        train(spec, own, images)
    found = read_evaluated(own.workspace).rival.predictions
    stats = json.loads(stats_file.read_text("utf-8"))["stats"]
    return [dict(prediction) for prediction in found], {
        "AP": next(iter(stats.values()))
    }


def _evaluate(
    spec: ModelSpec,
    dataset: data.Dataset,
    predictions: list[dict[str, Any]],
    folds: list[dict[str, Any]],
    folder: Path,
) -> Statistics:
    """Evaluates the predictions of all folds as one, and says how much the folds differ."""
    align_categories(dataset, spec.classes)
    report = statistics_of(dataset, predictions, spec.task)
    report["folds"] = folds
    values = [fold["AP"] for fold in folds if fold["AP"] >= 0]
    if len(values) > 1:
        spread = (
            f"AP of the {len(values)} folds is {statistics.mean(values):.3f} on average, with a standard deviation"
            f" of {statistics.stdev(values):.3f}. AP of all images together ranks the scores of different models in"
            " one list."
        )
        report["note"] = f"{report['note']} {spread}".strip()
        logger.info(spread)
    write_statistics(report, predictions, folder, folder / STATS, force=True)
    write_analysis(spec, dataset, predictions, folder, force=True)
    return report
