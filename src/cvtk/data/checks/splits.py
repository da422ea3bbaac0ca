"""Checks across splits: classes that are not trained, and images that are there twice."""

from __future__ import annotations

from cvtk.data.checks.problems import Problems, Severity
from cvtk.data.duplicates import near_duplicates
from cvtk.data.grouping import SERIES, series_of
from cvtk.data.images import ImageFacts
from cvtk.data.types import Dataset

_AGAIN = "Split again with `cvtk data split`, which keeps the classes balanced."
_APART = "Split again with `cvtk data split`, which keeps such images together."


def check_trained(datasets: dict[str, Dataset], problems: Problems) -> None:
    """Class names that one split has and the first, the training set, has not."""
    (_, first), *others = datasets.items()
    trained = first.counts()
    for _, other in others:
        for name, n in other.counts().items():
            if n and not trained.get(name):
                text = f"it has {n} annotations here and none in {first.file}"
                kind, item = "class not trained", f"class {name!r}"
                problems.add("error", kind, other.file, item, text, _AGAIN)


def check_series(datasets: dict[str, Dataset], problems: Problems) -> None:
    """Series of images, such as the frames of one video, that are in two splits by their names."""
    first: dict[str, str] = {}
    told: set[tuple[str, str]] = set()
    names = [image.file_name for d in datasets.values() for image in d.images]
    keys = series_of(names)
    for split, dataset in datasets.items():
        for image in dataset.images:
            key = keys.get(image.file_name)
            if key is None or first.setdefault(key, split) == split:
                continue
            if (key, split) not in told:
                told.add((key, split))
                text = f"images of {first[key]} begin with {key!r} too: are they of one video, plot or plant?"
                item, file = image.file_name, dataset.file
                problems.add("warning", "one series", file, item, text, _SERIES)


_SERIES = f"If so, split again with `cvtk data split --group-by '{SERIES}'`."


def check_duplicates(
    datasets: dict[str, Dataset], facts: dict[str, list[ImageFacts]], problems: Problems
) -> None:
    """Images that are there twice, in one split or two: the same content, or nearly the same look.

    Args:
        datasets: The sets by split.
        facts: What is known of their image files, by split, in the order of the images.
        problems: Gets what is found.
    """
    entries = [
        (split, image.file_name, fact)
        for split, found in facts.items()
        for image, fact in zip(datasets[split].images, found, strict=True)
    ]
    first: dict[str, int] = {}
    pairs: list[tuple[int, int, bool]] = []
    for index, (_, _, fact) in enumerate(entries):
        if fact.content:
            other = first.setdefault(fact.content, index)
            pairs += [(other, index, True)] * (other != index)
    for a, b in near_duplicates([fact.thumb for _, _, fact in entries]):
        if entries[a][2].content != entries[b][2].content:
            pairs.append((a, b, False))
    for a, b, same in pairs:
        split, name, _ = entries[b]
        _tell(problems, datasets[split], entries[a][:2], (split, name), same)


def _tell(
    problems: Problems,
    dataset: Dataset,
    a: tuple[str, str],
    b: tuple[str, str],
    same: bool,
) -> None:
    """Tells of two images, each by split and name; `same` says that their files are equal."""
    look = "the same content" if same else "nearly the same look"
    severity: Severity
    if a[0] != b[0]:
        severity = "error" if same else "warning"
        text = f"it has {look} as {a[1]!r} of {a[0]}: the evaluation would be flattered"
        problems.add(severity, "in two splits", dataset.file, b[1], text, _APART)
        return
    severity = "warning" if same else "note"
    kind = "duplicate image" if same else "near-duplicate image"
    text, remedy = f"it has {look} as {a[1]!r}", "Remove one with `cvtk data remove`."
    problems.add(severity, kind, dataset.file, b[1], text, remedy)
