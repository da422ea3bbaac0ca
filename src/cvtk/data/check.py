"""The doctor for data: one or more splits, their images, and what they share that they should not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvtk.data.coco import read
from cvtk.data.images import ImageFacts, in_parallel, near_duplicates, probe, resolve
from cvtk.data.inspection import FEW, check_dataset
from cvtk.data.labels import read_labels
from cvtk.data.model import Dataset, show_id
from cvtk.data.problems import Problems
from cvtk.data.require import image_problem
from cvtk.errors import DataError

SPLITS = ("train", "val", "test")
Progress = Callable[[int, int], None]


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

        report.datasets[split] = read(file, bad)
        few = FEW if split == "train" else 0
        check_dataset(report.datasets[split], report.problems, names, few=few)
    report.labels = names or next(iter(report.datasets.values())).class_names
    _check_classes(report)
    facts = _open_images(report, progress) if images else {}
    _check_across(report, facts)
    return report


def _check_classes(report: Report) -> None:
    """Class names that one split has and the training set has not."""
    (_, first), *others = report.datasets.items()
    trained = first.counts()
    for _, other in others:
        for name, n in other.counts().items():
            if n and not trained.get(name):
                text = f"it has {n} annotations here and none in {first.file}"
                report.problems.add(
                    "error",
                    "class not trained",
                    other.file,
                    f"class {name!r}",
                    text,
                    _AGAIN,
                )


_AGAIN = "Split again with `cvtk data split`, which keeps the classes balanced."


def _open_images(
    report: Report, progress: Progress | None
) -> dict[str, list[ImageFacts]]:
    facts: dict[str, list[ImageFacts]] = {}
    total = sum(len(d.images) for d in report.datasets.values())
    done = 0
    for split, dataset in report.datasets.items():
        places: list[Path | None] = []
        for image in dataset.images:
            try:
                places.append(resolve(dataset.folder, image.file_name))
            except DataError:
                places.append(None)  # reported with the names already
        facts[split] = []
        opened = in_parallel(
            lambda p: probe(p, look=True) if p else ImageFacts(Path()), places
        )
        for image, fact in zip(dataset.images, opened, strict=True):
            done += 1
            if progress is not None:
                progress(done, total)
            facts[split].append(fact)
            if fact.path == Path():
                continue
            item = f"image {show_id(image.id)} ({image.file_name[:100]})"
            problem = image_problem(image, fact)
            if problem:
                kind = fact.error or "image size"
                text = "`cvtk data check FILE --fix OUT.json` drops or corrects it, or put the right image there."
                report.problems.add("error", kind, dataset.file, item, problem, text)
            elif fact.orientation != 1:
                text = "EXIF turns it for display, and training too reads it turned"
                where = "Make sure that its outlines were drawn on the turned image."
                report.problems.add(
                    "note", "EXIF rotated", dataset.file, item, text, where
                )
    return facts


def _check_across(report: Report, facts: dict[str, list[ImageFacts]]) -> None:
    """Images that are there twice, in one split or two: the same content, or nearly the same look."""
    entries = [
        (split, image.file_name, fact)
        for split, found in facts.items()
        for image, fact in zip(report.datasets[split].images, found, strict=True)
    ]
    first: dict[str, int] = {}
    for index, (split, name, fact) in enumerate(entries):
        if not fact.content:
            continue
        other = first.setdefault(fact.content, index)
        if other != index:
            _report_pair(report, entries[other][:2], (split, name), "the same content")
    for a, b in near_duplicates([fact.thumb for _, _, fact in entries]):
        if entries[a][2].content != entries[b][2].content:
            _report_pair(report, entries[a][:2], entries[b][:2], "nearly the same look")


def _report_pair(
    report: Report, a: tuple[str, str], b: tuple[str, str], same: str
) -> None:
    file = report.datasets[b[0]].file
    if a[0] != b[0]:
        severity, kind, remedy = (
            ("error" if "content" in same else "warning"),
            "in two splits",
            _APART,
        )
        text = f"it has {same} as {a[1]!r} of {a[0]}: the evaluation would be flattered"
    else:
        kind = "duplicate image" if "content" in same else "near-duplicate image"
        severity, remedy = (
            ("warning" if "content" in same else "note"),
            "Remove one with `cvtk data remove`.",
        )
        text = f"it has {same} as {a[1]!r}"
    report.problems.add(severity, kind, file, b[1], text, remedy)  # type: ignore[arg-type]


_APART = "Split again with `cvtk data split`, which keeps such images together."
