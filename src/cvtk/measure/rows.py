"""The lines of the tables for one image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.crops import Crop, cut_out
from cvtk.data.images import read_image
from cvtk.data.reading import Reading
from cvtk.errors import DataError, FileError
from cvtk.io import is_file
from cvtk.measure.scale import Row, Scale
from cvtk.measure.scenes import Item, Scene
from cvtk.measure.shape import shape_of

# Measurements in pixels that are also given in millimetres, and those in square pixels in square millimetres.
LENGTHS = (
    "perimeter",
    "length",
    "width",
    "ellipse_length",
    "ellipse_width",
    "bbox_width",
    "bbox_height",
    "nearest",
)
# An object this near to the border, in pixels, counts as cut by it: outlines drawn by hand end a little before it.
BORDER = 2
COLOURS = ("mean_red", "mean_green", "mean_blue")
# What only a mask can tell, in the order of the columns.
SHAPE = (
    "area_px",
    "perimeter_px",
    "length_px",
    "width_px",
    "ellipse_length_px",
    "ellipse_width_px",
    "orientation_deg",
    "solidity",
)
OBJECT_COLUMNS = (
    "image",
    "object",
    "class",
    "score",
    *SHAPE,
    "centroid_x_px",
    "centroid_y_px",
    "bbox_x_px",
    "bbox_y_px",
    "bbox_width_px",
    "bbox_height_px",
    *COLOURS,
    "touches_border",
    "nearest_px",
)
SCALE_COLUMNS = ("mm_per_pixel", "scale_uncertainty")
OBJECT_MM_COLUMNS = (*SCALE_COLUMNS, "area_mm2", *(f"{name}_mm" for name in LENGTHS))
SUMMARY_COLUMNS = (
    "image",
    "class",
    "count",
    "coverage",
    "area_px",
    "area_px_mean",
    "area_px_sd",
    "length_px_mean",
    "length_px_sd",
)
SUMMARY_MM_COLUMNS = (
    *SCALE_COLUMNS,
    "area_mm2",
    "area_mm2_mean",
    "area_mm2_sd",
    "length_mm_mean",
    "length_mm_sd",
)


# Columns in millimetres to which the uncertainty of the scale is carried on, with the power of the scale in each.
OBJECT_UNCERTAINTIES = {"area_mm2": 2, "length_mm": 1, "width_mm": 1}
SUMMARY_UNCERTAINTIES = {"area_mm2": 2, "area_mm2_mean": 2, "length_mm_mean": 1}


def uncertainty_columns(powers: Mapping[str, int]) -> tuple[str, ...]:
    """The names of the columns of `add_uncertainties`."""
    return tuple(f"{column}_uncertainty" for column in powers)


def object_rows(scene: Scene) -> list[Row]:
    """Measures the objects of an image, in pixels: for each the values of `OBJECT_COLUMNS`.

    Raises:
        FileError: The image, whose colours are wanted, is missing.
        DataError: It cannot be read or has another size, or a mask is damaged.
    """
    has_masks = any(item.mask is not None for item in scene.items)
    pixels = _pixels_of(scene) if has_masks else None
    rows = [_object_row(scene, item, pixels) for item in scene.items]
    centroids = np.array([(r["centroid_x_px"], r["centroid_y_px"]) for r in rows])
    for row, distance in zip(rows, _nearest(centroids), strict=True):
        row["nearest_px"] = distance
    return rows


def _pixels_of(scene: Scene) -> NDArray[np.uint8] | None:
    """The pixels of the image (height, width, 3), which must be of the size that the masks have; None without one."""
    picture = scene.picture
    if picture is None or isinstance(picture, np.ndarray):
        return picture
    if not is_file(picture):
        raise FileError(
            f"{picture}: the image is missing.",
            "Name its folder with --images, or leave colours out with --no-colours (colours=False in Python).",
        )
    pixels = read_image(picture, Reading(to_be_seen=True))
    height, width = pixels.shape[:2]
    if (height, width) != (scene.height, scene.width):
        raise DataError(
            f"{picture} is {width} x {height} pixels, but its objects are of an image of "
            f"{scene.width} x {scene.height}.",
            "Use the images that the objects were found or drawn in.",
        )
    return pixels


def _object_row(scene: Scene, item: Item, pixels: NDArray[np.uint8] | None) -> Row:
    """The measurements of one object, all but the distance to its neighbour."""
    row: Row = dict.fromkeys(OBJECT_COLUMNS, math.nan)
    row["image"], row["object"], row["class"] = scene.name, item.id, item.name
    row["score"] = item.score
    crop = None if item.mask is None else cut_out(item.mask)
    box = _box_of(item, crop)
    x, y, width, height = box
    row["bbox_x_px"], row["bbox_y_px"] = x, y
    row["bbox_width_px"], row["bbox_height_px"] = width, height
    row["centroid_x_px"], row["centroid_y_px"] = x + width / 2, y + height / 2
    row["touches_border"] = bool(
        min(x, y, scene.width - x - width, scene.height - y - height) <= BORDER
    )
    if crop is None:
        if item.mask is not None:
            row["area_px"] = 0
        return row
    _add_shape(row, crop)
    if pixels is not None:
        bottom, right = np.add((crop.y, crop.x), crop.mask.shape)
        inside = pixels[crop.y : bottom, crop.x : right][crop.mask]
        row.update(zip(COLOURS, inside.mean(axis=0).tolist(), strict=True))
    return row


def _box_of(item: Item, crop: Crop | None) -> Sequence[float]:
    """The box: around the mask if there is one, else as given."""
    if crop is not None:
        height, width = crop.mask.shape
        return crop.x, crop.y, width, height
    return (math.nan,) * 4 if item.box is None else item.box


def _add_shape(row: Row, crop: Crop) -> None:
    shape = shape_of(crop.mask)
    row["area_px"] = shape.area
    row["perimeter_px"] = shape.perimeter
    row["length_px"], row["width_px"] = shape.length, shape.width
    row["ellipse_length_px"] = shape.ellipse_length
    row["ellipse_width_px"] = shape.ellipse_width
    row["orientation_deg"] = shape.orientation
    row["solidity"] = shape.solidity
    row["centroid_x_px"] = crop.x + shape.x
    row["centroid_y_px"] = crop.y + shape.y


def _nearest(centroids: NDArray[np.float64]) -> list[float]:
    """From each centroid (N, 2) to the nearest other one, in pixels; NaN if it is alone."""
    distances = np.full(len(centroids), np.nan)
    if len(centroids):
        known = np.flatnonzero(np.isfinite(centroids).all(axis=1))
        if len(known) > 1:
            from scipy.spatial import KDTree

            # The nearest of all is the point itself, or another one at the same place.
            found, _ = KDTree(centroids[known]).query(centroids[known], k=2)
            distances[known] = found[:, 1]
    return [float(distance) for distance in distances]


def summary_rows(scene: Scene, objects: Sequence[Row]) -> list[Row]:
    """Counts and sizes of each class in an image, classes without objects included: `SUMMARY_COLUMNS`.

    Coverage is the area that the masks of the class cover together, where they overlap counted once, divided by the
    area of the image. Standard deviations are those of a sample (divided by N - 1).
    """
    rows = []
    for name in dict.fromkeys(scene.classes):
        masks = [item.mask for item in scene.items if item.name == name]
        own = [row for row in objects if row["class"] == name]
        areas = np.array([row["area_px"] for row in own], dtype=float)
        lengths = np.array([row["length_px"] for row in own], dtype=float)
        rows.append(
            {
                "image": scene.name,
                "class": name,
                "count": len(own),
                "coverage": _coverage(scene, masks),
                "area_px": float(areas.sum()),
                "area_px_mean": _mean(areas),
                "area_px_sd": _deviation(areas),
                "length_px_mean": _mean(lengths),
                "length_px_sd": _deviation(lengths),
            }
        )
    return rows


def _coverage(scene: Scene, masks: Sequence[Any]) -> float:
    """The share of the image that masks cover, 0 to 1; NaN if an object has none."""
    from pycocotools import mask as api

    if any(mask is None for mask in masks):
        return math.nan
    if not masks:
        return 0.0
    return float(api.area(api.merge(list(masks)))) / (scene.width * scene.height)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def add_millimetres(row: Row, scale: Scale | None) -> None:
    """Adds the measurements of an object or a summary in millimetres; NaN where the image has no scale.

    A length in millimetres is that in pixels times mm_per_pixel, an area that in square pixels times its square.
    """
    factor = math.nan if scale is None else scale.mm_per_pixel
    row["mm_per_pixel"] = factor
    row["scale_uncertainty"] = math.nan if scale is None else scale.uncertainty
    for column in [name for name in row if "_px" in name]:
        if column.startswith("area_px"):
            row[column.replace("_px", "_mm2")] = row[column] * factor**2
        elif column.startswith(LENGTHS):
            row[column.replace("_px", "_mm")] = row[column] * factor


def add_uncertainties(row: Row, powers: Mapping[str, int]) -> None:
    """Adds the standard uncertainties that values in millimetres have from the scale; NaN where nothing tells it.

    To first order, that of a length is its value times the relative uncertainty of the scale, and that of an area
    twice as much (Guide to the Expression of Uncertainty in Measurement, JCGM 100:2008, 5.1). The values of an
    image share its scale, so that the same holds for their sum and mean.

    Args:
        row: With `add_millimetres` done.
        powers: The columns, with the power of the scale in each.
    """
    for column, power in powers.items():
        share = power * row["scale_uncertainty"]
        row[f"{column}_uncertainty"] = row[column] * share
