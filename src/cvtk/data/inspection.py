"""Checks of one data set without its images: ids, names, boxes and masks, twenty thousand at a time."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from cvtk.data.geometry import PolygonFacts, measure_flat
from cvtk.data.images import resolve
from cvtk.data.masks import require_size, to_rle
from cvtk.data.model import RLE, Annotation, Dataset, Image, Polygons, show_id
from cvtk.data.problems import Problems, Severity
from cvtk.errors import DataError, did_you_mean

_CHUNK = 20_000
_FIX = "`cvtk data check FILE --fix OUT.json` mends it."
_DROP = "Label it again, or let `cvtk data check FILE --fix OUT.json` drop it."
FEW = 10  # a class with fewer examples is hardly learnt


def check_dataset(
    dataset: Dataset,
    problems: Problems,
    labels: list[str] | None = None,
    *,
    few: int = FEW,
) -> None:
    """Checks all that can be checked without opening images.

    Args:
        dataset: The set.
        problems: Gets what is found.
        labels: The class names of the label file, where there is one.
        few: A class with fewer annotations gets a warning.
    """
    check_names(dataset, problems, labels, few)
    check_items(dataset, problems)
    seen: set[int] = set()
    images = {image.id: image for image in dataset.images}
    known = {category.id for category in dataset.categories}
    masks = any(a.has_mask for a in dataset.annotations)
    for start in range(0, len(dataset.annotations), _CHUNK):
        part = dataset.annotations[start : start + _CHUNK]
        _check_part(part, dataset, images, known, problems, masks, seen)


def check_names(
    dataset: Dataset, problems: Problems, labels: list[str] | None, few: int = FEW
) -> None:
    """Category ids and names, and whether they are those of the label file."""
    file = dataset.file
    for name, n in Counter(dataset.class_names).items():
        if n > 1:
            text = "Give each class one entry, for example with `cvtk data combine`."
            problems.add(
                "error",
                "class twice",
                file,
                f"class {name!r}",
                f"{n} categories have this name",
                text,
            )
    for id_, n in Counter(c.id for c in dataset.categories).items():
        if n > 1:
            item = f"category {show_id(id_)}"
            problems.add(
                "error",
                "id twice",
                file,
                item,
                f"{n} categories have this id",
                "Number them anew.",
            )
    counts = dataset.counts()
    for name, n in counts.items():
        if not n:
            problems.add(
                "note", "class unused", file, f"class {name!r}", "it has no annotations"
            )
        elif n < few:
            text = f"it has {n} annotations"
            problems.add(
                "warning",
                "few examples",
                file,
                f"class {name!r}",
                text,
                "Label more of them.",
            )
    if labels is None:
        return
    for name in dataset.class_names:
        if name not in labels:
            close = (
                did_you_mean(name, labels)
                or f"The label file has: {', '.join(labels[:20])}."
            )
            severity: Severity = "error" if counts[name] else "warning"
            text = f"the label file does not name it. {close}"
            problems.add(
                severity,
                "class name",
                file,
                f"class {name!r}",
                text,
                "Let both name the class alike.",
            )
    for name in labels:
        if name not in dataset.class_names:
            close = did_you_mean(name, dataset.class_names)
            text = f"no category has this name of the label file. {close}".strip()
            problems.add(
                "warning",
                "class name",
                file,
                f"label {name!r}",
                text,
                "Let both name it alike.",
            )


def check_items(dataset: Dataset, problems: Problems) -> None:
    """Ids, file names and sizes of images, and ids of annotations."""
    file, names = dataset.file, Counter(image.file_name for image in dataset.images)
    for kind, items in (("image", dataset.images), ("annotation", dataset.annotations)):
        ids = [item.id for item in items]  # type: ignore[attr-defined]
        if len(set(ids)) < len(ids):
            for id_, n in Counter(ids).items():
                if n > 1:
                    item = f"{kind} {show_id(id_)}"
                    problems.add(
                        "error",
                        "id twice",
                        file,
                        item,
                        f"{n} {kind}s have this id",
                        _FIX,
                    )
    for image in dataset.images:
        item = f"image {show_id(image.id)} ({image.file_name[:100]})"
        try:
            resolve(dataset.folder, image.file_name)
        except DataError as error:
            problems.add("error", "file name", file, item, error.message, error.remedy)
        try:
            require_size(image.width, image.height)
        except DataError as error:
            problems.add("error", "image size", file, item, error.message, _FIX)
        if names[image.file_name] > 1:
            text = "another image has the same file name"
            problems.add(
                "error",
                "image twice",
                file,
                item,
                text,
                "Combine their annotations under one id.",
            )
    used = {a.image_id for a in dataset.annotations}
    empty = [image for image in dataset.images if image.id not in used]
    for image in empty:
        text = "it has no annotations, and trains as background"
        problems.add("note", "image without annotations", file, image.file_name, text)
    if not dataset.annotations:
        problems.add(
            "error",
            "no annotations",
            file,
            "annotations",
            "there are none",
            "Label some images.",
        )


def describe(annotation: Annotation, image: Image | None) -> str:
    """How a problem calls an annotation."""
    where = f" ({image.file_name[:100]})" if image is not None else ""
    return f"annotation {show_id(annotation.id)}{where}"


def _check_part(
    part: list[Annotation],
    dataset: Dataset,
    images: dict[Any, Image],
    known: set[Any],
    problems: Problems,
    masks_expected: bool,
    seen: set[int],
) -> None:
    file, count = dataset.file, len(part)
    where = [images.get(a.image_id) for a in part]
    size = np.full((count, 2), np.nan)
    box = np.full((count, 4), np.nan)
    segmentations: list[Polygons | RLE | None] = []
    for k, (a, image) in enumerate(zip(part, where, strict=True)):
        if image is None:
            text = f"there is no image {show_id(a.image_id)}"
            problems.add(
                "error", "points nowhere", file, describe(a, None), text, _DROP
            )
        else:
            size[k] = (image.width, image.height) if image.size else np.nan
        if a.category_id not in known:
            text = f"there is no category {show_id(a.category_id)}"
            problems.add(
                "error", "points nowhere", file, describe(a, image), text, _DROP
            )
        segmentation: Polygons | RLE | None = None
        if a.has_mask:
            try:
                segmentation = a.segmentation
            except DataError as error:
                problems.add(
                    "error",
                    "mask form",
                    file,
                    describe(a, image),
                    error.message,
                    error.remedy,
                )
        elif masks_expected and a.bbox:
            text = "it has a box but no mask, unlike others of the set"
            problems.add("warning", "no mask", file, describe(a, image), text, _DROP)
        segmentations.append(segmentation)
        if isinstance(a.bbox, list) and len(a.bbox) == 4:
            box[k] = a.bbox
        elif isinstance(a.bbox, list):
            text = f"its box has {len(a.bbox)} numbers; x, y, width, height are 4"
            problems.add("error", "box form", file, describe(a, image), text, _FIX)
        elif segmentation is None and not a.has_mask:
            problems.add(
                "error",
                "no box",
                file,
                describe(a, image),
                "it has neither box nor mask",
                _DROP,
            )
        same = hash((a.image_id, a.category_id, tuple(a.bbox or ()), bytes(a.raw)))
        if same in seen:
            text = "another annotation is its very copy"
            problems.add(
                "warning", "annotation twice", file, describe(a, image), text, _FIX
            )
        seen.add(same)
    extent, area, simple = _masks(part, where, segmentations, size, dataset, problems)
    _boxes(part, where, box, size, extent, dataset, problems)
    _areas(part, where, area, simple, dataset, problems)


def _masks(
    part: list[Annotation],
    where: list[Image | None],
    segmentations: list[Polygons | RLE | None],
    size: NDArray[np.float64],
    dataset: Dataset,
    problems: Problems,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Checks masks; gives their extents (N, 4), areas (N,), and whether the area is that of one polygon."""
    file, count = dataset.file, len(part)
    extent, area, simple = (
        np.full((count, 4), np.nan),
        np.full(count, np.nan),
        np.zeros(count, bool),
    )
    owners: list[int] = []
    polygons: list[list[float]] = []
    for k, segmentation in enumerate(segmentations):
        image = where[k]
        if isinstance(segmentation, list):
            for polygon in segmentation:
                n = len(polygon)
                if n < 6 or n % 2:
                    text = (
                        f"a polygon has {n} numbers; three points need 6, as x, y pairs"
                    )
                    problems.add(
                        "error",
                        "under three points",
                        file,
                        describe(part[k], image),
                        text,
                        _DROP,
                    )
                else:
                    owners.append(k)
                    polygons.append(polygon)
        elif segmentation is not None and image is not None and image.size:
            from pycocotools import mask as api

            try:
                rle = to_rle(segmentation, *image.size)
            except DataError as error:
                problems.add(
                    "error",
                    "mask form",
                    file,
                    describe(part[k], image),
                    error.message,
                    error.remedy,
                )
                continue
            x, y, w, h = api.toBbox(rle)
            extent[k], area[k] = (x, y, x + w, y + h), float(api.area(rle))
    if polygons:
        lengths = np.fromiter((len(p) // 2 for p in polygons), np.int64, len(polygons))
        total = int(lengths.sum()) * 2
        flat = np.fromiter(chain.from_iterable(polygons), np.float64, total).reshape(
            -1, 2
        )
        with np.errstate(over="ignore", invalid="ignore"):
            facts = measure_flat(flat, lengths)
        _polygons(
            part, where, np.array(owners), facts, lengths, size, dataset, problems
        )
        owner, first, parts = np.unique(
            np.array(owners), return_index=True, return_counts=True
        )
        extent[owner, :2] = np.minimum.reduceat(facts.box[:, :2], first)
        extent[owner, 2:] = np.maximum.reduceat(facts.box[:, 2:], first)
        # Parts of an outline that crosses itself may cancel out: that says nothing of its mask.
        area[owner] = np.add.reduceat(
            np.where(facts.crossing, np.nan, facts.area), first
        )
        simple[owner] = (parts == 1) & ~facts.crossing[first]
    outside = np.column_stack(
        (
            -extent[:, 0],
            -extent[:, 1],
            extent[:, 2] - size[:, 0],
            extent[:, 3] - size[:, 1],
        )
    )
    with np.errstate(invalid="ignore"):
        gone = (extent[:, :2] >= size).any(axis=1) | (extent[:, 2:] <= 0).any(axis=1)
        over = (
            np.nanmax(np.nan_to_num(outside, nan=-1.0, posinf=1e30), axis=1) > 1
        ) & ~gone
    _tell(
        part,
        where,
        gone,
        "warning",
        "outside",
        "its mask lies outside the image",
        file,
        problems,
    )
    for k in np.flatnonzero(over):
        text = f"its mask reaches {outside[k].max():.4g} pixels out of the image"
        problems.add(
            "warning", "partly outside", file, describe(part[k], where[k]), text, _FIX
        )
    empty = np.nan_to_num(area, nan=1.0) <= 0
    _tell(
        part,
        where,
        empty,
        "warning",
        "zero area",
        "its mask has no area, and will not train",
        file,
        problems,
    )
    extent[gone | empty] = np.nan
    return extent, area, simple


def _polygons(
    part: list[Annotation],
    where: list[Image | None],
    owners: NDArray[np.int64],
    facts: PolygonFacts,
    lengths: NDArray[np.int64],
    size: NDArray[np.float64],
    dataset: Dataset,
    problems: Problems,
) -> None:
    file = dataset.file
    for k in np.flatnonzero(facts.crossing):
        i = int(owners[k])
        text = "a polygon crosses itself, so that its inside is doubtful"
        problems.add(
            "warning",
            "crosses itself",
            file,
            describe(part[i], where[i]),
            text,
            "Look at its outline.",
        )
    for k in np.flatnonzero(lengths > 10_000):
        i = int(owners[k])
        text = f"a polygon has {lengths[k]} points"
        problems.add(
            "warning",
            "many points",
            file,
            describe(part[i], where[i]),
            text,
            "Simplify its outline.",
        )
    with np.errstate(invalid="ignore"):
        far = (
            np.abs(facts.box).max(axis=1)
            > 10 * np.nan_to_num(size[owners].max(axis=1), nan=np.inf) + 1000
        )
    for k in np.flatnonzero(far):
        i = int(owners[k])
        text = f"a polygon reaches {np.abs(facts.box[k]).max():.3g} pixels, absurdly far outside"
        problems.add(
            "error", "coordinate", file, describe(part[i], where[i]), text, _DROP
        )


def _boxes(
    part: list[Annotation],
    where: list[Image | None],
    box: NDArray[np.float64],
    size: NDArray[np.float64],
    extent: NDArray[np.float64],
    dataset: Dataset,
    problems: Problems,
) -> None:
    file = dataset.file
    with np.errstate(invalid="ignore", over="ignore"):
        corners = np.column_stack((box[:, :2], box[:, :2] + box[:, 2:]))
        flat = (box[:, 2:] <= 0).any(axis=1)
        thin = (box[:, 2:] < 1).any(axis=1) & ~flat
        gone = (
            (corners[:, :2] >= size).any(axis=1) | (corners[:, 2:] <= 0).any(axis=1)
        ) & ~flat
        outside = np.maximum(-corners[:, :2], corners[:, 2:] - size).max(axis=1)
        over = (outside > 1) & ~gone & ~flat
        # Rounding, and boxes drawn by hand, may differ a little.
        room = np.maximum(2.0, 0.05 * box[:, 2:].max(axis=1))
        clipped = extent.copy()
        clipped[:, :2] = np.maximum(clipped[:, :2], 0)
        clipped[:, 2:] = np.minimum(clipped[:, 2:], size)
        apart = np.minimum(
            np.abs(corners - extent).max(axis=1), np.abs(corners - clipped).max(axis=1)
        )
        differs = (apart > room) & ~flat & ~gone
    _tell(
        part,
        where,
        flat,
        "warning",
        "zero area",
        "its box has no area, and will not train",
        file,
        problems,
    )
    _tell(
        part,
        where,
        thin,
        "warning",
        "under a pixel",
        "its box is under a pixel, and will not train",
        file,
        problems,
    )
    _tell(
        part,
        where,
        gone,
        "warning",
        "outside",
        "its box lies outside the image",
        file,
        problems,
    )
    for k in np.flatnonzero(over):
        text = f"its box reaches {outside[k]:.4g} pixels out of the image"
        problems.add(
            "warning", "partly outside", file, describe(part[k], where[k]), text, _FIX
        )
    for k in np.flatnonzero(differs):
        text = f"its box and the box around its mask differ by {apart[k]:.4g} pixels"
        problems.add(
            "warning", "box and mask", file, describe(part[k], where[k]), text, _FIX
        )


def _areas(
    part: list[Annotation],
    where: list[Image | None],
    area: NDArray[np.float64],
    simple: NDArray[np.bool_],
    dataset: Dataset,
    problems: Problems,
) -> None:
    file = dataset.file
    stated = np.array(
        [a.area if isinstance(a.area, (int, float)) else np.nan for a in part], float
    )
    missing = sum(a.area is UNSET or a.area is None for a in part)
    if missing:
        text = f"{missing} annotations have no area; training computes it"
        problems.add("note", "no area", file, "annotations", text, _FIX)
    with np.errstate(invalid="ignore"):
        wrong = (np.abs(stated - area) > 10 + 0.1 * area) & simple
    for k in np.flatnonzero(wrong):
        text = f"its area is said to be {stated[k]:.6g}, its mask has {area[k]:.6g} square pixels"
        problems.add(
            "warning", "area and mask", file, describe(part[k], where[k]), text, _FIX
        )


def _tell(
    part: list[Annotation],
    where: list[Image | None],
    which: Any,
    severity: Severity,
    kind: str,
    text: str,
    file: object,
    problems: Problems,
) -> None:
    for k in np.flatnonzero(which):
        problems.add(severity, kind, file, describe(part[k], where[k]), text, _DROP)
