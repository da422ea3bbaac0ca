"""The result of an evaluation in Python: numbers by name, and in a notebook what they mean."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cvtk.analysis.pages import METRICS, cut_texts, environment, error_rows
from cvtk.analysis.sentences import summary, warnings
from cvtk.analysis.study import Study


class Evaluation(dict[str, Any]):
    """The statistics that `test_stats.json` has. In a notebook it shows the metrics with intervals, and the errors.

    Args:
        statistics: What it holds, by name.
        analyse: Gives the analysis when it is asked for; None where there is none.
        report: The report, where it was written.
    """

    def __init__(
        self,
        statistics: Mapping[str, Any],
        analyse: Callable[[], Study | None],
        report: Path | None = None,
    ) -> None:
        super().__init__(statistics)
        self._analyse = analyse
        self.report = report

    @functools.cached_property
    def study(self) -> Study | None:
        """All that is known: intervals, what became of each object, what errors cost; None where that failed."""
        return self._analyse()

    def _repr_html_(self) -> str:
        """What went right and wrong, the metrics and the errors."""
        template = environment().get_template("evaluation.html.j2")
        study, more = self.study, {}
        if study is not None:
            more = {
                "metric_names": METRICS,
                "overall": study.intervals.overall,
                "by_class": study.intervals.by_class,
                "cuts": cut_texts(study),
                "errors": [row for row in error_rows(study) if row["count"]],
                "summary": summary(study),
                "warnings": warnings(study),
            }
        return template.render(told=self, report=self.report, study=study, **more)
