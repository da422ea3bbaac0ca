"""Splitting a data set: seeded, balanced by class, and never through a group of images that belong together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvtk.data.coco import read, write
from cvtk.data.grouping import SERIES, group_images, group_keys, note_groups, series_of
from cvtk.data.relocate import relocate_dataset, require_other
from cvtk.data.stratify import assign, count_groups
from cvtk.data.types import Dataset, Id, Image
from cvtk.errors import DataError
from cvtk.tables import table
from cvtk.words import counted


@dataclass
class Split:
    """A set in parts.

    Attributes:
        parts: By name.
        numbers: (images,) the group of each image of the set, counted from 0.
        groups: How many groups of images there were.
        kept_together: How many images are in a group with others.
        notes: What the groups did not allow, in sentences.
    """

    parts: dict[str, Dataset]
    numbers: NDArray[np.int64]
    groups: int
    kept_together: int
    notes: list[str]


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
        keys: Images with equal keys stay together. Where left out, those of a group that the file notes.
        look: Whether to open the images, so that duplicates and near-duplicates stay together.

    Raises:
        DataError: There are fewer groups than parts.
    """
    ratios = _folds(folds) if folds is not None else ratios or parse_ratios("8:1:1")
    images = dataset.images
    if len({image.id for image in images}) < len(images):
        raise DataError(
            f"{dataset.file}: image ids repeat.",
            "Mend it with `cvtk data check FILE --fix OUT.json`.",
        )
    group = group_images(dataset, keys, look=look)
    total = int(group.max()) + 1 if len(images) else 0
    if total < len(ratios):
        raise DataError(
            f"{dataset.file}: {len(images)} images in {total} groups cannot make {len(ratios)} parts.",
            "Take fewer parts, or a --group-by that makes smaller groups. Images of which the file says it, and "
            "images that look alike are one group too; --no-images leaves their looks aside.",
        )
    counts = count_groups(dataset, group, total)
    part = assign(counts, list(ratios.values()), seed)[group]
    names = list(ratios)
    chosen: dict[str, list[Image]] = {name: [] for name in names}
    for image, k in zip(images, part.tolist(), strict=True):
        chosen[names[k]].append(image)
    notes = _notes(ratios, part, group)
    if keys is None and not any(image.group for image in images):
        notes += series_note([image.file_name for image in images])
    parts = _parts(dataset, chosen, bool(folds))
    return Split(parts, group, total, len(images) - total, notes)


def _folds(count: int) -> dict[str, float]:
    if not 2 <= count <= 1000:
        raise DataError(f"{count} folds make no sense.", "Write for example --folds 5.")
    return {f"fold{k + 1}": 1 / count for k in range(count)}


_FEW_GROUPS = 3


def _notes(
    ratios: dict[str, float], part: NDArray[np.int64], group: NDArray[np.int64]
) -> list[str]:
    """What the groups did not allow: parts of another size than asked for, or of hardly any groups.

    Args:
        ratios: The share of each part by name.
        part: (images,) the index of its part.
        group: (images,) its group.
    """
    if group.max(initial=-1) + 1 == len(group):
        return []  # each image is a group of its own
    notes = []
    for k, (name, share) in enumerate(ratios.items()):
        inside = part == k
        groups = len(np.unique(group[inside]))
        got = float(inside.mean())
        if abs(got - share) > max(0.25 * share, 1 / len(part)):
            notes.append(
                f"{name} has {got:.0%} of the images in place of {share:.0%}: the groups are too large to "
                "deal out evenly. Many small groups make even parts."
            )
        elif groups < _FEW_GROUPS:
            notes.append(
                f"{name} holds {counted(groups, 'group')} of images that belong together: "
                "what is measured on it says little of others. Many groups are needed."
            )
    return notes


def series_note(names: list[str]) -> list[str]:
    """A hint at series of images that their names tell of."""
    series = Counter(series_of(names).values())
    if not series:
        return []
    key, count = series.most_common(1)[0]
    return [
        f"{count} images begin with {key!r}: if such images are of one video, plot or plant, keep them together "
        f"with --group-by '{SERIES}'."
    ]


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


def balance(parts: dict[str, Dataset]) -> str:
    """How many annotations of each class came to each part, in numbers and per cent, as text."""
    counts = {name: part.counts() for name, part in parts.items()}
    classes = next(iter(parts.values())).class_names
    total: Counter[str] = Counter()
    # A fold's training part is all but its validation part: the latter alone make up the set.
    held = [name for name in parts if not name.endswith(".train")]
    for name in held:
        total.update(counts[name])
    rows = []
    for name in classes:
        cells = [
            f"{v[name]} ({100 * v[name] / max(total[name], 1):.0f}%)"
            for v in counts.values()
        ]
        rows.append([name, *cells])
    images = sum(len(parts[name].images) for name in held)
    cells = [
        f"{len(p.images)} ({100 * len(p.images) / max(images, 1):.0f}%)"
        for p in parts.values()
    ]
    rows.append(["images", *cells])
    return table(rows, ["class", *parts], right=range(1, len(parts) + 1))


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
    """Splits a COCO file into `train.json`, `valid.json` and `test.json`, which note what belongs together.

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
    files = {name: folder / f"{name}.json" for name in _names(ratios, folds)}
    for target in files.values():
        require_other(Path(file), target, force=force)
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
    moved = relocate_dataset(dataset, folder)
    note_groups(moved, result.numbers, keys)
    renamed = {image.id: image for image in moved.images}
    for part in result.parts.values():
        part.images = [renamed[image.id] for image in part.images]
        part.folder = moved.folder
    for name, target in files.items():
        write(result.parts[name], target, force=force)
    return result, files


def _names(ratios: str, folds: int | None) -> list[str]:
    """The names of the parts."""
    if folds is None:
        return list(parse_ratios(ratios))
    return [f"{fold}.{part}" for fold in _folds(folds) for part in ("train", "valid")]
