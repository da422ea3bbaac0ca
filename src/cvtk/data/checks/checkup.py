"""The check-up of a data set: one or more splits, their images, and what they share that they should not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvtk.data.checks.annotations import check_annotations
from cvtk.data.checks.classes import FEW, check_classes
from cvtk.data.checks.images import Progress, check_entries, check_files
from cvtk.data.checks.keypoints import check_keypoints
from cvtk.data.checks.problems import Problems
from cvtk.data.checks.splits import check_duplicates, check_series, check_trained
from cvtk.data.checks.twins import check_twins
from cvtk.data.coco import read
from cvtk.data.images import ImageFacts
from cvtk.data.labels import read_labels
from cvtk.data.types import Dataset
from cvtk.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass
class Report:
    """What `check` found.

    Attributes:
        datasets: The sets by split (`train`, `val`, `test`).
        problems: All that is wrong.
        survivors: By class, what the training pipeline keeps and loses; empty where it was not asked for.
        labels: The class names of the label file, or of the first set.
    """

    datasets: dict[str, Dataset] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    survivors: dict[str, Any] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was found that would spoil training."""
        return self.problems.number("error") == 0


def check(
    files: list[str | Path],
    *,
    label: str | Path | None = None,
    images: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Checks COCO files: the training set, then the validation and test sets.

    Args:
        files: One to three COCO files.
        label: The label file that training will read.
        images: Whether to open the images.
        progress: Called with (images done, images in all).

    Returns:
        The report; its problems name file, item, severity and remedy.

    Raises:
        FileError: A file is missing.
        DataError: A file is not COCO at all.
    """
    report = Report()
    names = read_labels(label) if label is not None else None
    for split, file in zip(SPLITS, files, strict=False):

        def bad(item: str, error: DataError, file: str | Path = file) -> None:
            report.problems.add(
                "error", "form", file, item, error.message, error.remedy
            )

        dataset = read(file, bad)
        report.datasets[split] = dataset
        few = FEW if split == "train" else 0
        check_classes(dataset, report.problems, names, few=few)
        check_entries(dataset, report.problems)
        check_annotations(dataset, report.problems)
        check_keypoints(dataset, report.problems)
        check_twins(dataset, report.problems)
    report.labels = names or next(iter(report.datasets.values())).class_names
    check_trained(report.datasets, report.problems)
    check_series(report.datasets, report.problems)
    if images:
        facts = _open_images(report, progress)
        check_duplicates(report.datasets, facts, report.problems)
    return report


def _open_images(
    report: Report, progress: Progress | None
) -> dict[str, list[ImageFacts]]:
    total = sum(len(dataset.images) for dataset in report.datasets.values())
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return {
        split: check_files(dataset, report.problems, count)
        for split, dataset in report.datasets.items()
    }
