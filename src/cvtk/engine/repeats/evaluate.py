"""Several trainings as one result: pooled predictions of the folds, the spread over seeds, the learning curve."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cvtk.analysis.aims import read_aim
from cvtk.analysis.bootstrap import DRAWS, Drawn, draw_images, draw_metrics
from cvtk.analysis.evaluation import Evaluation
from cvtk.analysis.figures import DPI
from cvtk.analysis.figures import learning_curve as draw_curve
from cvtk.analysis.fold_thresholds import (
    FoldThresholds,
    choose_across_folds,
    fold_thresholds,
    without_scores,
)
from cvtk.analysis.learning_curve import LearningCurve, learning_curve
from cvtk.analysis.report import Trainings
from cvtk.analysis.seeds import Seeds, spread_over_seeds
from cvtk.analysis.study import headline_limit, matches_of
from cvtk.analysis.tables import without_nan
from cvtk.analysis.thresholds import (
    DEFAULT_SCORE,
    Thresholds,
    choose_thresholds,
    one_threshold,
)
from cvtk.data.csv_files import write_csv
from cvtk.engine.evaluate import (
    REPORT,
    Statistics,
    statistics_of,
    write_analysis,
    write_statistics,
)
from cvtk.engine.evaluated import STATS, read_evaluated
from cvtk.engine.repeats.done import stats_file
from cvtk.engine.repeats.plan import WHOLE, Plan, Repeat
from cvtk.engine.spec import ModelSpec, open_weights
from cvtk.engine.thresholds import stored_thresholds, thresholds_on
from cvtk.engine.training_data import align_categories
from cvtk.engine.weights import read_weights
from cvtk.io import atomic_write, sha256_of
from cvtk.log import logger
from cvtk.options import TrainOptions


@dataclass(frozen=True)
class Tested:
    """What one evaluation found.

    Attributes:
        repeat: The trainings.
        predictions: On all images that are tested, not thresholded.
        statistics: The metrics; with folds, `folds` has those of each.
        cuts: The scores to cut at, where they were chosen.
    """

    repeat: Repeat
    predictions: list[dict[str, Any]]
    statistics: Statistics
    cuts: Thresholds | None = None


@dataclass(frozen=True)
class Together:
    """What came of all trainings.

    Attributes:
        evaluation: The statistics of the first evaluation; with `seeds` and `learning_curve` as far as there are such.
        tested: Each evaluation.
        seeds: The spread over the seeds; None without.
        curve: The learning curve; None without.
    """

    evaluation: Evaluation
    tested: list[Tested]
    seeds: Seeds | None = None
    curve: LearningCurve | None = None


def evaluate_together(spec: ModelSpec, plan: Plan, options: TrainOptions) -> Together:
    """Evaluates all trainings, which are done, and writes what came of them.

    Args:
        spec: The architecture and its classes.
        plan: The trainings.
        options: The user's choices.
    """
    align_categories(plan.tested, spec.classes)
    tested = [_tested(spec, plan, repeat) for repeat in plan.repeats]
    first = tested[0]
    sentences, rows = _of_folds(first, options)
    for sentence in sentences:
        logger.info(sentence)
    seeds, curve = None, None
    if len(tested) > 1:
        drawn = _drawn(spec, plan, tested)
        if options.seeds:
            seeds = _of_seeds(plan, drawn, options)
            first.statistics["seeds"] = seeds.to_plain()
            sentences.append(seeds.sentence)
            rows = rows or seeds.lines()
        if options.learning_curve:
            curve = _of_parts(plan, drawn, options)
            first.statistics["learning_curve"] = without_nan(list(curve.rows()))
            sentences += [curve.sentence, curve.caveat]
    note = [first.statistics["note"], *sentences]
    first.statistics["note"] = " ".join(part for part in note if part)
    lead = ""
    if options.folds:
        lead = (
            f"Cross-validation: each image was predicted by the one of {options.folds} models that had not learned"
            " from it."
        )
    trainings = Trainings(lead, sentences, rows, curve)
    evaluation = _write(spec, plan, first, trainings, options)
    return Together(evaluation, tested, seeds, curve)


def scores_to_cut_at(
    spec: ModelSpec, plan: Plan, options: TrainOptions
) -> Thresholds | None:
    """The scores for a model of all images, chosen on predictions of models that had not seen their image.

    Returns:
        None where nothing was found.
    """
    tested = _tested(spec, plan, plan.repeats[0])
    matches = matches_of(plan.tested, tested.predictions, spec.kind)
    chosen = choose_thresholds(matches, read_aim(options.aim))
    if not chosen.file:
        logger.info(chosen.notes[0])
        return None
    note = (
        f"They are those of the predictions of {options.folds} models, each for images that it had not learned"
        " from."
    )
    logger.info(f"Scores to cut at, which inference will use: {chosen.words()}. {note}")
    return replace(
        chosen, sha256=sha256_of(str(plan.tested.file)), notes=[*chosen.notes, note]
    )


def _tested(spec: ModelSpec, plan: Plan, repeat: Repeat) -> Tested:
    """The predictions of trainings that are done, and their metrics."""
    if repeat.runs[0].fold is None:
        rival = read_evaluated(repeat.runs[0].options.workspace).rival
        found = [dict(prediction) for prediction in rival.predictions]
        own = statistics_of(plan.tested, found, spec.task)
        if rival.thresholds is not None:
            own["cut_at"] = rival.thresholds.by_class
        return Tested(repeat, found, own, rival.thresholds)
    pooled: list[dict[str, Any]] = []
    folds: list[dict[str, Any]] = []
    for run in repeat.runs:
        rival = read_evaluated(run.options.workspace).rival
        for prediction in rival.predictions:
            pooled.append({**prediction, "id": len(pooled) + 1})
        stats = json.loads(stats_file(run.weights).read_text("utf-8"))["stats"]
        ids = [image.id for image in run.sets["test"].images]
        fold = {"fold": run.fold, "images": len(ids), "AP": next(iter(stats.values()))}
        scores = rival.thresholds.by_class if rival.thresholds else None
        folds.append({**fold, "image_ids": ids, "cut_at": scores})
    cuts = _scores_of_folds(spec, plan, repeat, pooled, folds)
    if cuts is not None:
        for fold, (_, by_class) in zip(folds, cuts.folds, strict=True):
            fold["cut_at"] = dict(by_class)
    metrics = statistics_of(plan.tested, pooled, spec.task)
    return Tested(repeat, pooled, {**metrics, "folds": folds}, cuts)


def _scores_of_folds(
    spec: ModelSpec,
    plan: Plan,
    repeat: Repeat,
    pooled: list[dict[str, Any]],
    folds: list[dict[str, Any]],
) -> FoldThresholds | None:
    """The scores that each fold is cut at: its model's own, or without a validation set those of the other folds."""
    if plan.valid is None:
        ids = [fold["image_ids"] for fold in folds]
        aim = read_aim(repeat.runs[0].options.aim)
        return choose_across_folds(plan.tested, pooled, ids, spec.kind, aim)
    without = [fold["fold"] for fold in folds if fold["cut_at"] is None]
    if len(without) == len(folds):
        return None
    default = dict.fromkeys(spec.classes, DEFAULT_SCORE)
    note = (
        "Each fold is cut at the scores of its own model, which were chosen on the validation set"
        f" {plan.valid.file}."
    )
    return fold_thresholds(
        [(fold["image_ids"], fold["cut_at"] or default) for fold in folds],
        [note, *without_scores(without)],
    )


def _of_folds(
    tested: Tested, options: TrainOptions
) -> tuple[list[str], list[list[str]]]:
    """What there is to say of the folds, and a table of them."""
    folds = tested.statistics.get("folds", [])
    values = [fold["AP"] for fold in folds if fold["AP"] >= 0]
    rows = [["fold", "images tested", "AP"]]
    for fold in folds:
        ap = f"{fold['AP']:.3f}" if fold["AP"] >= 0 else "none there"
        rows.append([str(fold["fold"]), str(fold["images"]), ap])
    if len(values) < 2:
        return [], rows if folds else []
    text = (
        f"AP of the {len(values)} folds is {statistics.mean(values):.3f} on average, with a standard deviation of"
        f" {statistics.stdev(values):.3f}. AP of all images together ranks the scores of different models in one"
        " list, and may be somewhat lower or higher."
    )
    return [text], rows


def _drawn(spec: ModelSpec, plan: Plan, tested: list[Tested]) -> list[Drawn]:
    """The metrics of all evaluations on the same draws of images."""
    weights, drawn = None, []
    for part in tested:
        matches = matches_of(plan.tested, part.predictions, spec.kind)
        if weights is None:
            weights = draw_images(matches.truth.groups, DRAWS)
        cuts = part.cuts or one_threshold(matches.truth.class_order)
        limit = headline_limit(matches.truth)
        drawn.append(draw_metrics(matches, cuts.is_kept(matches), weights, limit))
    return drawn


def _of_seeds(plan: Plan, drawn: list[Drawn], options: TrainOptions) -> Seeds:
    """The spread over the seeds, which is also written and shown."""
    chosen = [
        (repeat.seed, part)
        for repeat, part in zip(plan.repeats, drawn, strict=True)
        if repeat.share == WHOLE
    ]
    seeds, parts = zip(*chosen, strict=True)
    told = spread_over_seeds(seeds, parts, plan.tested_groups)
    file = _beside(options, "seeds.csv")
    write_csv(file, told.rows(), force=True)
    logger.info(f"{told}\n{told.sentence} All metrics: see {file}")
    return told


def _of_parts(plan: Plan, drawn: list[Drawn], options: TrainOptions) -> LearningCurve:
    """The learning curve, which is also written and shown."""
    images: dict[int, float] = {}
    values: dict[int, list[Any]] = {}
    pairs = sorted(zip(plan.repeats, drawn, strict=True), key=lambda p: p[0].share)
    for repeat, part in pairs:
        images.setdefault(repeat.share, repeat.images)
        values.setdefault(repeat.share, []).append(part.overall["AP"])
    told = learning_curve(
        list(images.values()),
        list(values.values()),
        len(plan.tested.images),
        plan.tested_groups,
    )
    write_csv(_beside(options, "learning_curve.csv"), told.rows(), force=True)
    picture = _beside(options, "learning_curve.png")
    with atomic_write(picture, force=True) as file:
        draw_curve(told).savefig(file, dpi=DPI)
    logger.info(f"{told.sentence} {told.caveat} The curve: see {picture}")
    return told


def _write(
    spec: ModelSpec,
    plan: Plan,
    first: Tested,
    trainings: Trainings,
    options: TrainOptions,
) -> Evaluation:
    """Writes the statistics and the report of the first evaluation, with what there is to say of the others."""
    cuts = first.cuts
    if options.folds:
        folder = folds_folder(options)
        file = folder / STATS
    else:
        folder, file = options.workspace, stats_file(options.output)
        spec = open_weights(options.output, options.trust_weights)
        checkpoint = read_weights(options.output, options.trust_weights)
        cuts = thresholds_on(stored_thresholds(checkpoint, spec), plan.tested)
    write_statistics(first.statistics, first.predictions, folder, file, force=True)
    analysed = write_analysis(
        spec, plan.tested, first.predictions, folder, cuts, trainings, force=True
    )
    report = None if analysed is None else folder / REPORT
    return Evaluation(first.statistics, lambda: analysed, report)


def folds_folder(options: TrainOptions) -> Path:
    """Where the evaluation of all folds together is."""
    return _beside(options, "folds")


def _beside(options: TrainOptions, ending: str) -> Path:
    name = options.output.with_suffix("")
    return name.with_name(f"{name.name}.{ending}")
