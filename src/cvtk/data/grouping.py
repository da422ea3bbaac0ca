"""Which images belong together: by name, by a table, by what their file notes, or by their looks.

A split must not part them, and they count as one where it is asked how sure a metric is.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvtk.data.duplicates import near_duplicates
from cvtk.data.images import ImageFacts, in_parallel, probe, resolve
from cvtk.data.types import Dataset, Id, Image
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
    dataset: Dataset,
    keys: list[str] | None = None,
    *,
    look: bool = True,
    facts: Sequence[ImageFacts] | None = None,
    together: Iterable[Sequence[Id]] = (),
) -> NDArray[np.int64]:
    """The group of each image, counted from 0.

    Args:
        dataset: The set.
        keys: Images with equal keys are of one group. Where left out, those of a group that the file notes are.
        look: Whether duplicates and near-duplicates are of one group, too.
        facts: What the images look like, where they were opened already.
        together: Ids of images that are of one group, too; ids that the set does not have are left aside.

    Raises:
        FileError: An image cannot be opened.
    """
    noted = [image.group for image in dataset.images]
    sets = _Sets(len(noted))
    first: dict[str, int] = {}
    for i, key in enumerate(noted if keys is None else keys):
        if key:
            sets.join(i, first.setdefault(key, i))
    places = {image.id: i for i, image in enumerate(dataset.images)}
    for ids in together:
        known = [places[id_] for id_ in ids if id_ in places]
        for i in known[1:]:
            sets.join(i, known[0])
    if look:
        _join_alike(sets, _looked_at(dataset) if facts is None else facts)
    roots = np.array([sets.find(i) for i in range(len(noted))], dtype=np.int64)
    _, group = np.unique(roots, return_inverse=True)
    found: NDArray[np.int64] = group.astype(np.int64)
    return found


def note_groups(
    dataset: Dataset, numbers: NDArray[np.int64], keys: list[str] | None = None
) -> None:
    """Notes in the images of a set which of them belong together.

    A group is called by its first image: by its key, by the group noted there, or by its name. An image that is
    alone, without a key, stays as it is.

    Args:
        dataset: The set.
        numbers: (images,) the group of each, as `group_images` gives them.
        keys: What it was given.
    """
    sizes = np.bincount(numbers).tolist()
    given = keys or [""] * len(numbers)
    names: dict[int, str] = {}
    for image, n, key in zip(dataset.images, numbers.tolist(), given, strict=True):
        name = names.setdefault(n, key or image.group or image.file_name)
        if (key or sizes[n] > 1) and image.group != name:
            image.group = name


def noted_groups(dataset: Dataset) -> list[list[Id]]:
    """The ids of the images of each group that is noted and has two or more."""
    found: dict[str, list[Id]] = {}
    for image in dataset.images:
        if image.group:
            found.setdefault(image.group, []).append(image.id)
    return [ids for ids in found.values() if len(ids) > 1]


def note_alike(dataset: Dataset, facts: Sequence[ImageFacts]) -> None:
    """Notes in the images of a set which of them look alike.

    Args:
        dataset: The set. Groups that are noted already stay together.
        facts: What the images look like.
    """
    note_groups(dataset, group_images(dataset, facts=facts))


def _looked_at(dataset: Dataset) -> list[ImageFacts]:
    places = [resolve(dataset.folder, image.file_name) for image in dataset.images]
    facts = list(in_parallel(lambda p: probe(p, look=True), places))
    missing = [f for f in facts if f.error]
    if missing:
        raise FileError(
            f"{dataset.file}: {len(missing)} of {len(facts)} images cannot be opened, the first is "
            f"{missing[0].path} ({missing[0].error}).",
            "They are compared so that duplicates stay together; --no-images splits without.",
        )
    return facts


def _join_alike(sets: _Sets, facts: Sequence[ImageFacts]) -> None:
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
