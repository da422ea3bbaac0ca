"""Counts and sizes of a data set, by class: as numbers, text or JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvtk.data.masks import area_and_bbox
from cvtk.data.types import Annotation, Dataset, Image
from cvtk.errors import DataError
from cvtk.tables import table

# COCO's limits of small, medium and large: areas of 32 and 96 pixels square.
SMALL, LARGE = 32**2, 96**2


def mask_area(annotation: Annotation, image: Image | None) -> float:
    """The area of an object in square pixels: as stated, else of its mask, else of its box; NaN if unknown."""
    if isinstance(annotation.area, (int, float)):
        return float(annotation.area)
    try:
        segmentation = annotation.segmentation
        if segmentation and image is not None and image.size:
            return area_and_bbox(segmentation, *image.size)[0]
    except DataError:
        return float("nan")
    box = annotation.bbox
    return box[2] * box[3] if isinstance(box, list) and len(box) == 4 else float("nan")


def stats(dataset: Dataset) -> dict[str, Any]:
    """Counts and sizes.

    Returns:
        `images`, `images_without_annotations`, `annotations`, `crowds`, `masks` (`polygons`, `rle`, `none`),
        `objects_per_image` (`least`, `median`, `most`), `image_sizes` ([width, height] of the `smallest` and `largest` in pixels), and `classes`: for each
        its `annotations`, `images`, `small`, `medium`, `large` (COCO's limits), `area_median` (square pixels).
    """
    images = {image.id: image for image in dataset.images}
    used = {a.image_id for a in dataset.annotations}
    areas: dict[Any, list[float]] = {c.id: [] for c in dataset.categories}
    kinds = {"polygons": 0, "rle": 0, "none": 0}
    for a in dataset.annotations:
        areas.setdefault(a.category_id, []).append(mask_area(a, images.get(a.image_id)))
        kind = (
            "none"
            if not a.has_mask
            else "rle"
            if bytes(memoryview(a.raw)[:1]) == b"{"
            else "polygons"
        )
        kinds[kind] += 1
    in_images = dataset.image_counts()
    classes = {}
    for category in dataset.categories:
        values = np.array(areas[category.id], dtype=float)
        known = values[np.isfinite(values)]
        classes[category.name] = {
            "annotations": len(values),
            "images": in_images[category.name],
            "small": int((known < SMALL).sum()),
            "medium": int(((known >= SMALL) & (known < LARGE)).sum()),
            "large": int((known >= LARGE).sum()),
            "area_median": round(float(np.median(known)), 1) if len(known) else None,
        }
    sizes = sorted(
        (i.size for i in dataset.images if i.size), key=lambda s: s[0] * s[1]
    )
    per_image = [len(found) for found in dataset.by_image().values()]
    return {
        "images": len(dataset.images),
        "images_without_annotations": sum(
            image.id not in used for image in dataset.images
        ),
        "annotations": len(dataset.annotations),
        "crowds": sum(a.is_crowd for a in dataset.annotations),
        "masks": kinds,
        "objects_per_image": {
            "least": min(per_image),
            "median": float(np.median(per_image)),
            "most": max(per_image),
        }
        if per_image
        else {},
        "image_sizes": {"smallest": list(sizes[0]), "largest": list(sizes[-1])}
        if sizes
        else {},
        "classes": classes,
    }


def class_table(sets: dict[str, Dataset]) -> str:
    """Annotations of each class (rows) in each set (columns), as text."""
    names = list(dict.fromkeys(name for d in sets.values() for name in d.class_names))
    counts = {key: d.counts() for key, d in sets.items()}
    rows = [[name, *(counts[key].get(name, 0) for key in sets)] for name in names]
    rows.append(["annotations", *(len(d.annotations) for d in sets.values())])
    rows.append(["images", *(len(d.images) for d in sets.values())])
    return table(rows, ["class", *sets], right=range(1, len(sets) + 1))


def stats_text(found: dict[str, dict[str, Any]]) -> str:
    """The numbers of `stats` by file, as text."""
    return "\n\n".join(_text(file, values) for file, values in found.items())


_HEAD = ["class", "annotations", "images", "small", "medium", "large", "median area"]


def _text(file: str, values: dict[str, Any]) -> str:
    """The numbers of one file: two lines on all of it, and a table of its classes."""
    rows = [[name, *row.values()] for name, row in values["classes"].items()]
    classes = table(rows, _HEAD, right=range(1, len(_HEAD)))
    kinds = ", ".join(f"{n} {kind}" for kind, n in values["masks"].items() if n)
    per_image = ""
    if values["objects_per_image"]:
        least, median, most = values["objects_per_image"].values()
        per_image = f"; {least} to {most} per image, {median:g} in the median"
    return (
        f"{file}\n{values['images']} images{_sizes(values['image_sizes'])} "
        f"({values['images_without_annotations']} without annotations), {values['annotations']} annotations "
        f"(masks: {kinds or 'none'}; {values['crowds']} crowds{per_image})\n{classes}"
    )


def _sizes(sizes: dict[str, list[int]]) -> str:
    """From which to which size the images are; empty where none is known."""
    if not sizes:
        return ""
    (w0, h0), (w1, h1) = sizes["smallest"], sizes["largest"]
    if (w0, h0) == (w1, h1):
        return f" of {w0} x {h0} pixels"
    return f", {w0} x {h0} to {w1} x {h1} pixels"
