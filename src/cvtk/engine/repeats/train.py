"""Trains several times, one training after the other, and evaluates all of them together."""

from __future__ import annotations

import time

from cvtk.analysis.evaluation import Evaluation
from cvtk.engine.processes import several_started
from cvtk.engine.repeats.done import (
    is_done,
    is_tested,
    require_not_begun,
    require_same,
)
from cvtk.engine.repeats.evaluate import (
    evaluate_together,
    folds_folder,
    scores_to_cut_at,
)
from cvtk.engine.repeats.methods import write_methods
from cvtk.engine.repeats.plan import Plan, Run, make_plan
from cvtk.engine.spec import ModelSpec, open_weights
from cvtk.engine.train import train
from cvtk.engine.workspace import require_own_names
from cvtk.errors import OptionError
from cvtk.io import is_file, require_free_folder
from cvtk.log import logger
from cvtk.options import TrainOptions


def train_repeatedly(
    spec: ModelSpec, options: TrainOptions
) -> tuple[ModelSpec, Evaluation | None]:
    """Trains each fold, with each seed, on each part of the images, as far as that is asked for.

    Each training writes all that a single one writes. With `resume`, those that are done are left as they are, and
    one that was stopped goes on. Images that look alike, or of one group, are never in two folds.

    Args:
        spec: The architecture and its classes.
        options: The user's choices; `is_repeated` holds.

    Returns:
        The model, trained where there is one that has learned from all images; and the statistics of all
        evaluations together, None where `fold` was given and others are not there yet.

    Raises:
        CvtkError: Data, weights or options that cannot be used; the message says why.
    """
    if several_started():
        raise OptionError(
            "--folds, --seeds and --learning_curve are for one process.",
            "Start them without torchrun or srun; --fold I trains one fold for each job of a cluster.",
        )
    plan = make_plan(spec, options)
    runs = [run for run in plan.runs if options.fold in (None, run.fold)]
    require_usable(plan, runs, options)
    train_all(spec, runs, options)
    missing = [run for run in plan.runs if not is_tested(run)]
    if missing:
        folds = sorted({run.fold for run in missing if run.fold is not None})
        logger.info(
            f"Not there yet: fold {', '.join(map(str, folds))}. The last one to end evaluates all together."
        )
        return spec, None
    for run in plan.runs:
        require_same(run)
    together = evaluate_together(spec, plan, options)
    if options.final:
        model = train_final(spec, plan, options)
    elif options.folds:
        model = spec
    else:
        model = open_weights(options.output, options.trust_weights)
    write_methods(plan, together, options)
    return model, together.evaluation


def require_usable(plan: Plan, runs: list[Run], options: TrainOptions) -> None:
    """Checks that what is there belongs to these trainings, and that none replaces what it must not.

    Raises:
        CvtkError: It does not, or would.
    """
    runs = [*runs, *([plan.final] if options.final else [])]
    if options.resume:
        for run in runs:
            require_same(run)
    elif not options.force:
        require_not_begun(runs)
        if options.folds and not options.fold:
            require_free_folder(folds_folder(options))
    for run in runs:
        require_own_names(run.options)


def train_all(spec: ModelSpec, runs: list[Run], options: TrainOptions) -> None:
    """Trains what is not done yet, and says how long the rest may take."""
    spent: list[float] = []
    for number, run in enumerate(runs, 1):
        count = f"Training {number} of {len(runs)}, {run.title}"
        if options.resume and is_done(run):
            logger.info(f"{count}: done already, {run.weights}.")
            continue
        learned, tested = (len(run.sets[name].images) for name in ("train", "test"))
        text = f"{count}: learns from {learned} images, is tested on {tested}."
        if spent:
            trainings = len(runs) - number + 1 + options.final
            left = sum(spent) / len(spent) * trainings
            text += f" {_duration(left)} left for all."
        logger.info(text)
        started = time.monotonic()
        train(spec, run.options, run.sets)
        spent.append(time.monotonic() - started)


def train_final(spec: ModelSpec, plan: Plan, options: TrainOptions) -> ModelSpec:
    """Trains on all images; the scores to cut at are chosen on the predictions of the folds' models."""
    run, count = plan.final, len(plan.train.images)
    if options.resume and is_file(run.weights):
        logger.info(f"The final model is done already, {run.weights}.")
        return open_weights(run.weights, options.trust_weights)
    logger.info(f"The final model: learns from all {count} images.")
    cuts = scores_to_cut_at(spec, plan, options) if plan.valid is None else None
    trained, _ = train(spec, run.options, run.sets, cuts)
    logger.info(
        f"{run.weights} has learned from all {count} images. What to expect of it is in {folds_folder(options)},"
        " from models that learned from fewer."
    )
    return trained


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return "About a minute"
    if minutes < 90:
        return f"About {minutes:.0f} minutes"
    return f"About {minutes / 60:.1f} hours"
