"""Checks of categories: their ids and names, and whether the label file has the same."""

from __future__ import annotations

from collections import Counter

from cvtk.data.checks.chunk import FIX
from cvtk.data.checks.problems import Problems, Severity
from cvtk.data.ids import is_usable
from cvtk.data.types import Dataset, show_id
from cvtk.errors import did_you_mean
from cvtk.words import counted

FEW = 10  # a class with fewer examples is hardly learnt
_ALIKE = "Let both name the class alike."


def check_classes(
    dataset: Dataset,
    problems: Problems,
    labels: list[str] | None = None,
    *,
    few: int = FEW,
) -> None:
    """Checks categories.

    Args:
        dataset: The set.
        problems: Gets what is found.
        labels: The class names of the label file, where there is one.
        few: A class with fewer annotations gets a warning.
    """
    check_category_ids(dataset, problems)
    counts = dataset.counts()
    for name, n in counts.items():
        item = f"class {name!r}"
        if not n:
            text = "it has no annotations"
            problems.add("note", "class unused", dataset.file, item, text)
        elif n < few:
            text = f"it has {counted(n, 'annotation')}"
            remedy = "Label more of them."
            problems.add("warning", "few examples", dataset.file, item, text, remedy)
    if labels is not None:
        _compare(dataset, labels, counts, problems)


def check_category_ids(dataset: Dataset, problems: Problems) -> None:
    """Checks that each category has one name and one id."""
    file = dataset.file
    for name, n in Counter(dataset.class_names).items():
        if n > 1:
            item, text = f"class {name!r}", f"{n} categories have this name"
            problems.add("error", "class twice", file, item, text, FIX)
    for identifier, n in Counter(c.id for c in dataset.categories).items():
        item = f"category {show_id(identifier)}"
        if n > 1:
            text = f"{n} categories have this id"
            problems.add("error", "id twice", file, item, text, "Number them anew.")
        if not is_usable(identifier):
            text = "its id is a text or too large; training needs a number"
            problems.add("error", "id form", file, item, text, FIX)


def _compare(
    dataset: Dataset, labels: list[str], counts: dict[str, int], problems: Problems
) -> None:
    """Compares names with those of the label file."""
    file = dataset.file
    for name in dataset.class_names:
        if name in labels:
            continue
        close = did_you_mean(name, labels)
        close = close or f"The label file has: {', '.join(labels[:20])}."
        severity: Severity = "error" if counts[name] else "warning"
        text = f"the label file does not name it. {close}"
        problems.add(severity, "class name", file, f"class {name!r}", text, _ALIKE)
    for name in labels:
        if name not in dataset.class_names:
            close = did_you_mean(name, dataset.class_names)
            text = f"no category has this name of the label file. {close}".strip()
            problems.add("warning", "class name", file, f"label {name!r}", text, _ALIKE)
