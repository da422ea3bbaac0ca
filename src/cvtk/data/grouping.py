"""Which images belong together, so that a split must not part them: by name, by a table, or by their looks."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvtk.data.duplicates import near_duplicates
from cvtk.data.images import in_parallel, probe, resolve
from cvtk.data.types import Dataset, Image
from cvtk.errors import DataError, FileError, did_you_mean
from cvtk.io import read_text

# video3image7.jpg and plot_12_004.jpg: a number, other signs, and the number of the image.
SERIES = r"^(.*\d)\D+\d+\.\w+$"


def series_of(names: list[str]) -> dict[str, str]:
    """What the names of images of one series begin with, by name; empty where names tell of no series.

    Names tell of series where several begin alike up to a number, and several numbers occur there.
    """
    keys: dict[str, str] = {}
    for name in names:
        found = re.match(SERIES, name)
        if found:
            keys[name] = found[1]
    counts = Counter(keys.values())
    if len(counts) < 2 or len(keys) < len(names) or max(counts.values()) < 2:
        return {}
    return keys


class _Sets:
    """Disjoint sets: which images belong together."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        self.parent[self.find(i)] = self.find(j)


def group_images(
    dataset: Dataset, keys: list[str] | None = None, *, look: bool = True
) -> NDArray[np.int64]:
    """The group of each image, counted from 0.

    Args:
        dataset: The set.
        keys: Images with equal keys are of one group.
        look: Whether to open the images, so that duplicates and near-duplicates are of one group.

    Raises:
        FileError: An image cannot be opened.
    """
    count = len(dataset.images)
    sets = _Sets(count)
    first: dict[str, int] = {}
    for i, key in enumerate(keys or []):
        sets.join(i, first.setdefault(key, i))
    if look:
        _join_alike(dataset, sets)
    roots = np.array([sets.find(i) for i in range(count)], dtype=np.int64)
    _, group = np.unique(roots, return_inverse=True)
    found: NDArray[np.int64] = group.astype(np.int64)
    return found


def _join_alike(dataset: Dataset, sets: _Sets) -> None:
    places = [resolve(dataset.folder, image.file_name) for image in dataset.images]
    facts = list(in_parallel(lambda p: probe(p, look=True), places))
    missing = [f for f in facts if f.error]
    if missing:
        raise FileError(
            f"{dataset.file}: {len(missing)} of {len(facts)} images cannot be opened, the first is "
            f"{missing[0].path} ({missing[0].error}).",
            "They are compared so that duplicates stay together; --no-images splits without.",
        )
    first: dict[str, int] = {}
    for i, fact in enumerate(facts):
        sets.join(i, first.setdefault(fact.content, i))
    for i, j in near_duplicates([fact.thumb for fact in facts]):
        sets.join(i, j)


def group_keys(
    images: list[Image],
    by: str,
    table: str | Path | None = None,
    option: str = "--group-by",
) -> list[str]:
    """What keeps images together.

    Args:
        images: The images.
        by: With `table`, a column of it; else a regular expression on the file name, whose first group (or
            whole match) is the key.
        table: A CSV file with a column `file_name` and others.
        option: What messages call `by`.

    Returns:
        A key for each image.

    Raises:
        DataError: The expression is none, or does not match a name; a column or an image is not in the table.
    """
    if table is not None:
        return _keys_from_csv(images, by, Path(table))
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise DataError(
            f"{option} {by!r} is not a regular expression ({error}).",
            r"Like 'plant(\d+)'.",
        ) from None
    keys = []
    for image in images:
        found = pattern.search(image.file_name)
        if found is None:
            raise DataError(
                f"{option} {by!r} does not match the image {image.file_name!r}.",
                "Write an expression that all file names match.",
            )
        keys.append(found[1] if pattern.groups and found[1] is not None else found[0])
    return keys


def _keys_from_csv(images: list[Image], column: str, table: Path) -> list[str]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(table), newline="")))
    except csv.Error as error:
        raise FileError(
            f"{table} cannot be read ({error}).", "It must be a CSV file in UTF-8."
        ) from None
    columns = list(rows[0]) if rows else []
    for name in ("file_name", column):
        if name not in columns:
            raise DataError(
                f"{table} has no column {name!r}.",
                did_you_mean(name, columns) or f"It has: {columns}.",
            )
    keys = {row["file_name"]: row[column] for row in rows}
    names = {name.rsplit("/", 1)[-1]: key for name, key in keys.items()}
    found = []
    for image in images:
        key = keys.get(image.file_name, names.get(image.file_name.rsplit("/", 1)[-1]))
        if not key:
            raise DataError(
                f"{table} has no {column} for {image.file_name!r}.", "Add a row for it."
            )
        found.append(key)
    return found
