"""Splitting a data set: seeded, balanced by class, and never through a group of images that belong together."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvtk.data.coco import read
from cvtk.data.coco import write as write_coco
from cvtk.data.images import in_parallel, near_duplicates, probe, resolve
from cvtk.data.model import Dataset, Id, Image
from cvtk.data.place import place_dataset
from cvtk.data.stratify import assign
from cvtk.errors import DataError, FileError, did_you_mean


@dataclass
class Split:
    """The parts of a set, by name, and how many groups held images together."""

    parts: dict[str, Dataset]
    groups: int
    kept_together: int


def parse_ratios(text: str) -> dict[str, float]:
    """`"8:1:1"` as the shares of train, valid and test; `"8:2"` has no test.

    Raises:
        DataError: It is not two or three numbers above 0.
    """
    try:
        values = [float(v) for v in text.split(":")]
    except ValueError:
        values = []
    if len(values) not in (2, 3) or not all(0 < v < 1e9 for v in values):
        raise DataError(
            f"Ratios {text!r} are not two or three numbers above 0.",
            "Write for example 8:1:1.",
        )
    return {
        n: v / sum(values)
        for n, v in zip(("train", "valid", "test"), values, strict=False)
    }


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


def group_keys(
    images: list[Image], by: str, table: str | Path | None = None
) -> list[str]:
    """What keeps images together.

    Args:
        images: The images.
        by: With `table`, a column of it; else a regular expression on the file name, whose first group (or
            whole match) is the key.
        table: A CSV file with a column `file_name` and others.

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
            f"--group-by {by!r} is not a regular expression ({error}).",
            r"Like 'plant(\d+)'.",
        ) from None
    keys = []
    for image in images:
        found = pattern.search(image.file_name)
        if found is None:
            raise DataError(
                f"--group-by {by!r} does not match the image {image.file_name!r}.",
                "Write an expression that all file names match.",
            )
        keys.append(found[1] if pattern.groups and found[1] is not None else found[0])
    return keys


def _keys_from_csv(images: list[Image], column: str, table: Path) -> list[str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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


def split(
    dataset: Dataset,
    ratios: dict[str, float] | None = None,
    *,
    folds: int | None = None,
    seed: int = 0,
    keys: list[str] | None = None,
    look: bool = True,
) -> Split:
    """Splits a data set by images.

    Args:
        dataset: The set.
        ratios: The share of each part by name; 8:1:1 of train, valid and test where left out.
        folds: In place of ratios, this many pairs `fold1.train`, `fold1.valid`, ... for cross-validation.
        seed: Equal seeds give equal splits.
        keys: Images with equal keys stay together.
        look: Whether to open the images, so that duplicates and near-duplicates stay together.

    Raises:
        DataError: There are fewer groups than parts.
    """
    if folds is not None and not 2 <= folds <= 1000:
        raise DataError(f"{folds} folds make no sense.", "Write for example --folds 5.")
    ratios = (
        {f"fold{k + 1}": 1 / folds for k in range(folds)}
        if folds
        else ratios or parse_ratios("8:1:1")
    )
    images = dataset.images
    if len({image.id for image in images}) < len(images):
        raise DataError(
            f"{dataset.file}: image ids repeat.",
            "Mend it with `cvtk data check FILE --fix OUT.json`.",
        )
    sets = _Sets(len(images))
    first: dict[str, int] = {}
    for i, key in enumerate(keys or []):
        sets.join(i, first.setdefault(key, i))
    if look:
        _join_alike(dataset, sets)
    roots = np.array([sets.find(i) for i in range(len(images))], dtype=np.int64)
    _, group = np.unique(roots, return_inverse=True)
    total = int(group.max()) + 1 if len(images) else 0
    if total < len(ratios):
        raise DataError(
            f"{dataset.file}: {len(images)} images in {total} groups cannot make {len(ratios)} parts.",
            "Take fewer parts, or a --group-by that makes smaller groups. Images that look alike are one "
            "group too; --no-images leaves their looks aside.",
        )
    place = {image.id: i for i, image in enumerate(images)}
    column = {category.id: k for k, category in enumerate(dataset.categories, 1)}
    counts = np.zeros((total, 1 + len(dataset.categories)), np.int64)
    np.add.at(counts[:, 0], group, 1)
    pairs = [
        (group[place[a.image_id]], column[a.category_id])
        for a in dataset.annotations
        if a.image_id in place and a.category_id in column
    ]
    if pairs:
        rows = np.array(pairs, dtype=np.int64)
        np.add.at(counts, (rows[:, 0], rows[:, 1]), 1)
    part = assign(counts, list(ratios.values()), seed)[group]
    chosen: dict[str, list[Image]] = {name: [] for name in ratios}
    names = list(ratios)
    for image, k in zip(images, part.tolist(), strict=True):
        chosen[names[k]].append(image)
    return Split(_parts(dataset, chosen, bool(folds)), total, len(images) - total)


def _parts(
    dataset: Dataset, chosen: dict[str, list[Image]], folds: bool
) -> dict[str, Dataset]:
    owner: dict[Id, str] = {
        image.id: name for name, images in chosen.items() for image in images
    }
    parts = {
        name: Dataset(
            images,
            [],
            dataset.categories,
            folder=dataset.folder,
            file=dataset.file,
            extra=dataset.extra,
        )
        for name, images in chosen.items()
    }
    for annotation in dataset.annotations:
        name = owner.get(annotation.image_id)
        if name is not None:
            parts[name].annotations.append(annotation)
    if not folds:
        return parts
    result: dict[str, Dataset] = {}
    for name, part in parts.items():
        rest = [image for image in dataset.images if owner[image.id] != name]
        result[f"{name}.train"], result[f"{name}.valid"] = dataset.subset(rest), part
    return result


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


def balance(parts: dict[str, Dataset]) -> str:
    """How many annotations of each class came to each part, in numbers and per cent, as text."""
    from cvtk.data.stats import table

    counts = {name: part.counts() for name, part in parts.items()}
    classes = next(iter(parts.values())).class_names
    total: Counter[str] = Counter()
    for values in counts.values():
        total.update(values)
    rows = [["class", *parts]]
    for name in classes:
        cells = [
            f"{v[name]} ({100 * v[name] / max(total[name], 1):.0f}%)"
            for v in counts.values()
        ]
        rows.append([name, *cells])
    images = sum(len(part.images) for part in parts.values())
    cells = [
        f"{len(p.images)} ({100 * len(p.images) / max(images, 1):.0f}%)"
        for p in parts.values()
    ]
    return table([*rows, ["images", *cells]])


def split_file(
    file: str | Path,
    output: str | Path | None = None,
    *,
    ratios: str = "8:1:1",
    folds: int | None = None,
    seed: int = 0,
    group_by: str | None = None,
    group_table: str | Path | None = None,
    look: bool = True,
    force: bool = False,
) -> tuple[Split, dict[str, Path]]:
    """Splits a COCO file into `train.json`, `valid.json` and `test.json`.

    Args:
        file: The COCO file.
        output: The folder to write to; that of the file where left out. Images are copied only where the
            folder does not hold them.
        ratios: As for `parse_ratios`.
        folds: As for `split`.
        seed: As for `split`.
        group_by: As for `group_keys`.
        group_table: As for `group_keys`.
        look: As for `split`.
        force: Whether files may be replaced.

    Returns:
        The split, and the files.
    """
    dataset = read(file)
    folder = Path(output) if output is not None else dataset.folder
    names = (
        list(parse_ratios(ratios))
        if not folds
        else [f"fold{k + 1}.{p}" for k in range(folds) for p in ("train", "valid")]
    )
    files = {name: folder / f"{name}.json" for name in names}
    for target in files.values():
        if target.exists() and (not force or target.samefile(file)):
            raise FileError(
                f"{target} exists already.", "Choose another --output, or say --force."
            )
    keys = (
        group_keys(dataset.images, group_by, group_table)
        if group_by is not None
        else None
    )
    result = split(
        dataset,
        None if folds else parse_ratios(ratios),
        folds=folds,
        seed=seed,
        keys=keys,
        look=look,
    )
    moved = place_dataset(dataset, folder)
    renamed = {image.id: image for image in moved.images}
    for part in result.parts.values():
        part.images = [renamed[image.id] for image in part.images]
        part.folder = moved.folder
    for name, target in files.items():
        write_coco(result.parts[name], target, force=force)
    return result, files
