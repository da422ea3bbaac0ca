"""The options of `train` for more trainings than one: folds, seeds and parts of the images."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cvtk.declare import Checked, Option
from cvtk.options.shared import PathLike


@dataclass(frozen=True)
class _Repeats(Checked):
    _: KW_ONLY
    folds: Annotated[
        int | None,
        Option(
            help="trainings, each tested on other images",
            minimum=2,
            maximum=100,
            unset="one",
            in_vanilla=False,
        ),
    ] = None
    fold: Annotated[
        int | None,
        Option(
            help="train this fold alone",
            minimum=1,
            maximum=100,
            unset="all",
            in_vanilla=False,
        ),
    ] = None
    final: Annotated[
        bool,
        Option(help="after the folds, train on all images", in_vanilla=False),
    ] = False
    seeds: Annotated[
        int | None,
        Option(
            help="train with so many seeds",
            minimum=2,
            maximum=100,
            unset="with one",
            in_vanilla=False,
        ),
    ] = None
    learning_curve: Annotated[
        bool,
        Option(help="also on 25, 50% of images", in_vanilla=False),
    ] = False
    group_by: Annotated[
        str | None,
        Option(
            help="keep images together, by name or column",
            unset="by looks",
            pattern=re.compile(r".+", re.DOTALL),
            expected="an expression, or the name of a column",
            in_vanilla=False,
        ),
    ] = None
    group_table: Annotated[
        PathLike | None,
        Option(
            help="CSV file with that column",
            unset="by name",
            in_vanilla=False,
        ),
    ] = None

    @property
    def is_repeated(self) -> bool:
        """Whether there is more than one training."""
        return bool(self.folds or self.seeds or self.learning_curve)

    def contradictions_of_repeats(self, test: bool) -> list[str]:
        """Sentences on values that do not go together.

        Args:
            test: Whether a test set was given.
        """
        found = []
        if self.folds and test:
            found.append("--folds makes its own test sets: leave out --test.")
        if (self.fold or self.final) and not self.folds:
            found.append("--fold and --final need --folds.")
        if self.folds and self.fold and self.fold > self.folds:
            found.append(f"--fold {self.fold}: there are {self.folds}, from 1 on.")
        if self.fold and self.final:
            found.append(
                "--final comes after all folds: once they are done, give it without --fold."
            )
        for name in ("seeds", "learning_curve"):
            if getattr(self, name) and not (self.folds or test):
                found.append(f"--{name} needs images to test on: --test, or --folds.")
        if self.group_by is not None and not (self.folds or self.learning_curve):
            found.append("--group_by is for --folds and --learning_curve.")
        if self.group_table is not None and self.group_by is None:
            found.append("--group_table needs --group_by, the column to take.")
        return found
