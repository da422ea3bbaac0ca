"""Checks of annotations, twenty thousand at a time: what they point to, their masks, boxes and areas."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from cvtk.data.geometry import PolygonFacts, measure_flat
from cvtk.data.masks import to_rle
from cvtk.data.model import RLE, Annotation, Dataset, Image, Polygons, show_id
from cvtk.data.problems import Problems, Severity
from cvtk.errors import DataError

_FIX = "`cvtk data check FILE --fix OUT.json` mends it."
_DROP = "Label it again, or let `cvtk data check FILE --fix OUT.json` drop it."


def describe(annotation: Annotation, image: Image | None) -> str:
    """How a problem calls an annotation."""
    where = f" ({image.file_name[:100]})" if image is not None else ""
    return f"annotation {show_id(annotation.id)}{where}"


def check_part(
    part: list[Annotation],
    dataset: Dataset,
    images: dict[Any, Image],
    known: set[Any],
    problems: Problems,
    masks_expected: bool,
    seen: set[int],
) -> None:
    """Checks some annotations of a set.

    Args:
        part: The annotations.
        dataset: Their set.
        images: Its images by id.
        known: The ids of its categories.
        problems: Gets what is found.
        masks_expected: Whether annotations of the set have masks.
        seen: Hashes of the annotations before these; grows.
    """
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
