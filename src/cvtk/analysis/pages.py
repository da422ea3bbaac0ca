"""What the report and notebooks show alike: the tables of metrics and errors, and numbers in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cvtk.analysis.bootstrap import Interval
from cvtk.analysis.outcomes import ERRORS, Outcome
from cvtk.analysis.sentences import EXPLANATIONS
from cvtk.analysis.study import Study
from cvtk.io import templates_folder

if TYPE_CHECKING:
    import jinja2

METRICS = ("AP", "AP50", "AR", "precision", "recall", "F1")
"""The columns of the table of metrics."""


def environment() -> jinja2.Environment:
    """Renders templates of pages: every text is escaped, and numbers have the filters below."""
    import jinja2

    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    pages.filters["metric"] = metric_text
    pages.filters["range"] = range_text
    pages.filters["decimals"] = decimals
    return pages


def metric_text(value: float) -> str:
    """A metric of 0 to 1 with three decimals; in words where there is nothing to measure."""
    return "none there" if math.isnan(value) else f"{value:.3f}"


def range_text(interval: Interval) -> str:
    """An interval as `0.38 to 0.59`; empty where there is none."""
    if math.isnan(interval.low):
        return ""
    return f"{interval.low:.2f} to {interval.high:.2f}"


def decimals(value: float) -> str:
    """Any number with three digits that count; in words where it is not defined."""
    if math.isnan(value):
        return "not defined"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cut_texts(study: Study) -> dict[str, str]:
    """The score to cut at of each class, as a table shows it."""
    return {name: study.thresholds.text(name) for name in study.thresholds.by_class}


def error_rows(study: Study) -> list[dict[str, Any]]:
    """Each kind of error: how often it occurs, in each class too, and what it costs, the dearest first."""
    told, matches = study.outcomes, study.matches
    kind = matches.kind
    most = max((cost for cost in study.costs.values() if cost > 0), default=1.0)
    rows = []
    for error in ERRORS:
        if error is Outcome.MISSED:
            category = matches.true_category[told.true == error]
        else:
            category = matches.found.category[study.is_kept & (told.detection == error)]
        by_class = np.bincount(category, minlength=len(matches.truth.classes) + 1)[1:]
        names = zip(matches.truth.classes, by_class.tolist(), strict=True)
        cost = max(study.costs[error], 0.0)
        rows.append(
            {
                "name": error.words(kind),
                "meaning": meaning(error, kind),
                "count": len(category),
                "classes": [f"{name}: {count}" for name, count in names if count],
                "also_found": _on_found_objects(study, error),
                "cost": study.costs[error],
                "share": 0 if math.isnan(cost) else round(100 * cost / most),
            }
        )
    return sorted(rows, key=lambda row: -row["share"])


def _on_found_objects(study: Study, error: Outcome) -> int:
    """How many detections of the wrong class lie on an object that another one has found as what it is."""
    told = study.outcomes
    if error is not Outcome.WRONG_CLASS:
        return 0
    objects = told.about[study.is_kept & (told.detection == error)]
    return int((told.true[objects] == Outcome.CORRECT).sum())


def meaning(error: Outcome, kind: str) -> str:
    """What a kind of error is, in a sentence."""
    return EXPLANATIONS[error].format(shape="mask" if kind == "segm" else "box")
