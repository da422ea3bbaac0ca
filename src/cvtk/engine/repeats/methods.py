"""`NAME.methods.md` of several trainings: one paragraph on all of them, from their run cards."""

from __future__ import annotations

import json
import statistics
from typing import Any

from cvtk.analysis.repeated_methods import Repeated, repeated_methods_text
from cvtk.engine.card import METHODS, failures_as_warnings
from cvtk.engine.repeats.done import card_file
from cvtk.engine.repeats.evaluate import Together
from cvtk.engine.repeats.plan import WHOLE, Plan, Run
from cvtk.io import atomic_write
from cvtk.log import logger
from cvtk.options import TrainOptions


def write_methods(plan: Plan, together: Together, options: TrainOptions) -> None:
    """Writes the paragraph, in the place of that on one training. Where that fails it says so.

    Args:
        plan: The trainings, which are done; with `final`, the one on all images too.
        together: What came of them.
        options: The user's choices.
    """
    name = options.output.with_suffix("")
    file = name.with_name(name.name + METHODS)
    with failures_as_warnings(file):
        text = repeated_methods_text(_repeated(plan, together, options))
        with atomic_write(file, force=True) as part:
            part.write_text(text, encoding="utf-8")
        logger.info(f"What was done in all, for a methods section: see {file}")


def _repeated(plan: Plan, together: Together, options: TrainOptions) -> Repeated:
    cards = {
        repeat.name: [_card(run) for run in repeat.runs] for repeat in plan.repeats
    }
    whole = [r for r in plan.repeats if r.share == WHOLE]
    smaller = [r for r in plan.repeats if r.share != WHOLE]
    study = together.evaluation.study
    aps = [fold["AP"] for fold in together.evaluation.get("folds", [])]
    aps = [ap for ap in aps if ap >= 0]
    return Repeated(
        cards=[card for repeat in whole for card in cards[repeat.name]],
        smaller=[card for repeat in smaller for card in cards[repeat.name]],
        metrics={} if study is None else study.intervals.overall,
        images=len(plan.tested.images),
        groups=plan.tested_groups,
        folds=options.folds,
        kept_together=_kept_together(options),
        cut_on=_cut_on(plan, together),
        fold_ap=(statistics.mean(aps), statistics.stdev(aps)) if len(aps) > 1 else None,
        seeds=together.seeds,
        curve=together.curve,
        final=_card(plan.final) if options.final else None,
    )


def _card(run: Run) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(card_file(run.weights).read_text("utf-8"))
    return card


def _kept_together(options: TrainOptions) -> str:
    """By what the user said that images belong together."""
    if options.group_by is None:
        return ""
    if options.group_table is not None:
        return f"by the column `{options.group_by}` of a table"
    return f"by what the expression `{options.group_by}` matches in their file names"


def _cut_on(plan: Plan, together: Together) -> str:
    """What the scores to cut at were chosen on, where that is the same for all."""
    cuts = [tested.cuts for tested in together.tested]
    if all(cut is None for cut in cuts):
        return "default"
    # A further note tells of folds in which no score could be chosen.
    if any(cut is None or len(cut.notes) > 1 for cut in cuts):
        return ""
    return "folds" if plan.valid is None else "valid"
