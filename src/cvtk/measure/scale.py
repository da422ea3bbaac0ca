"""How many millimetres a pixel is: one number, a table of images, or an object of known size in each image."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from cvtk.errors import DataError, OptionError
from cvtk.io import read_text

Row = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """The scale of an image.

    Attributes:
        mm_per_pixel: Millimetres per pixel.
        uncertainty: Its standard uncertainty as a share of it, such as 0.01; NaN where nothing tells it. A length
            in millimetres has the same, an area twice this share.
    """

    mm_per_pixel: float
    uncertainty: float = math.nan


class Scales(Protocol):
    """Where the scale of each image comes from."""

    def of(self, image: str, objects: Sequence[Row]) -> Scale | None:
        """The scale of an image, from its name and its measured objects; None if there is none."""


@dataclass(frozen=True)
class OneScale:
    """The same for all images."""

    scale: Scale

    def of(self, image: str, objects: Sequence[Row]) -> Scale | None:
        """The scale."""
        return self.scale


@dataclass(frozen=True)
class ScaleTable:
    """A scale for each image by its name, or else by the last part of its name."""

    scales: dict[str, Scale]

    def of(self, image: str, objects: Sequence[Row]) -> Scale | None:
        """The scale in the line of this image."""
        last = PurePosixPath(image.replace("\\", "/")).name
        return self.scales.get(image, self.scales.get(last))


@dataclass(frozen=True)
class ScaleObjects:
    """Objects of a known size, such as rulers or coins, in the images themselves.

    Each one that the border does not cut says mm_per_pixel = length / (its largest Feret diameter in pixels). The
    scale is their mean. If there are two or more, its uncertainty is their standard deviation divided by the mean:
    where they disagree, as they do in a picture taken at an angle, no one knows which of them holds for an object.

    Attributes:
        name: Their class.
        length: Their largest diameter in millimetres, from corner to corner.
    """

    name: str
    length: float

    def of(self, image: str, objects: Sequence[Row]) -> Scale | None:
        """The scale by the objects of the class in this image."""
        found = [
            self.length / row["length_px"]
            for row in objects
            if row["class"] == self.name
            and not row["touches_border"]
            and row["length_px"]
            > 0  # False for NaN, which an object without a mask has
        ]
        if not found:
            return None
        mean = statistics.fmean(found)
        if len(found) == 1:
            return Scale(mean)
        return Scale(mean, statistics.stdev(found) / mean)


def scales_of(
    mm_per_pixel: float | str | Path | None,
    scale_class: str | None,
    scale_length: float | None,
) -> Scales | None:
    """What the options on the scale say.

    Args:
        mm_per_pixel: A number, or a CSV file with the columns `image` and `mm_per_pixel`.
        scale_class: The class of objects of known size.
        scale_length: Their largest diameter in millimetres.

    Returns:
        Where scales come from; None where everything stays in pixels.

    Raises:
        OptionError: The options contradict each other, or a number is not above 0.
        FileError: The CSV file cannot be read.
        DataError: It lacks a column, or a value is no number above 0.
    """
    if (scale_class is None) != (scale_length is None):
        raise OptionError(
            "--scale_class and --scale_length belong together.",
            "Give the class of the scale objects and their length in millimetres.",
        )
    if scale_class is not None and scale_length is not None:
        if mm_per_pixel is not None:
            raise OptionError(
                "--mm_per_pixel and --scale_class both give the scale.",
                "Leave one of them out.",
            )
        return ScaleObjects(scale_class, _positive(scale_length, "--scale_length"))
    if mm_per_pixel is None:
        return None
    try:
        number = float(mm_per_pixel)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return read_scales(Path(mm_per_pixel))  # type: ignore[arg-type]
    return OneScale(Scale(_positive(number, "--mm_per_pixel")))


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise OptionError(
            f"{name} is {value:g}.", "It is in millimetres and must be above 0."
        )
    return float(value)


def read_scales(file: Path) -> ScaleTable:
    """Reads a CSV file with a header and the columns `image` and `mm_per_pixel`; others are ignored.

    Columns are separated by commas; or by semicolons or tabs, and then decimals may have a comma.

    Raises:
        FileError: The file cannot be read.
        DataError: It lacks a column, names an image twice, or a value is no number above 0.
    """
    names, lines, separator = _read_csv(file)
    lacking = {"image", "mm_per_pixel"} - set(names)
    if lacking:
        raise DataError(
            f"{file} has no column {' and no column '.join(map(repr, sorted(lacking)))}.",
            "Its first line must be a header with `image` and `mm_per_pixel`.",
        )
    scales: dict[str, Scale] = {}
    for line in lines:
        # A line may lack its last cells.
        cells = {**dict.fromkeys(names, ""), **dict(zip(names, line, strict=False))}
        image = cells["image"].strip()
        if image in scales:
            raise DataError(f"{file} has two lines for {image!r}.", "Remove one.")
        scales[image] = Scale(_number(cells["mm_per_pixel"], separator, file, image))
    return ScaleTable(scales)


def _read_csv(file: Path) -> tuple[list[str], list[list[str]], str]:
    """The names of the columns, the lines below them that are not empty, and what separates columns.

    Raises:
        DataError: The file is not CSV, such as one with a quote that never ends.
    """
    text = read_text(file)
    header = text.partition("\n")[0]
    separator = next((mark for mark in "\t;" if mark in header), ",")
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise DataError(
            f"{file} cannot be read as CSV ({error}).", "Save it as CSV again."
        ) from None
    names = [name.strip() for name in lines[0]] if lines else []
    return names, [line for line in lines[1:] if any(line)], separator


def _number(cell: str, separator: str, file: Path, image: str) -> float:
    text = cell.strip()
    if separator != ",":
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DataError(
            f"{file}: mm_per_pixel of {image!r} is {cell.strip()!r}.",
            "Write millimetres per pixel as a number above 0, or remove the line.",
        )
    return value
