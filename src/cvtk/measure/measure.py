"""Measures predicted or annotated objects, and writes the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cvtk.data.coco import read
from cvtk.data.csv_files import harmless
from cvtk.data.types import Dataset
from cvtk.errors import DataError, OptionError, did_you_mean
from cvtk.extras import require
from cvtk.io import atomic_write, require_free
from cvtk.log import logger
from cvtk.measure.rows import (
    OBJECT_COLUMNS,
    OBJECT_MM_COLUMNS,
    OBJECT_UNCERTAINTIES,
    SUMMARY_COLUMNS,
    SUMMARY_MM_COLUMNS,
    SUMMARY_UNCERTAINTIES,
    add_millimetres,
    add_uncertainties,
    object_rows,
    summary_rows,
    uncertainty_columns,
)
from cvtk.measure.scale import Row, ScaleObjects, Scales, scales_of
from cvtk.measure.scenes import Scene, scenes_of_dataset, scenes_of_results
from cvtk.results import Result

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Measurements:
    """Tables of measured objects.

    Attributes:
        objects: One line per object.
        summary: One line per image and class, classes without objects included.
    """

    objects: pd.DataFrame
    summary: pd.DataFrame

    def save(
        self, folder: str | Path, *, decimal_comma: bool = False, force: bool = False
    ) -> tuple[Path, Path]:
        """Writes `objects.csv` and `summary.csv`: UTF-8, commas, decimal points, a header.

        A name that begins with = + - @ or a tab, which a spreadsheet would take for a formula, gets an apostrophe
        in front (https://owasp.org/www-community/attacks/CSV_Injection).

        Args:
            folder: Is made if it is not there.
            decimal_comma: Whether decimals have a comma and columns are separated by semicolons, as spreadsheets in
                many languages and `read.csv2` of R expect.
            force: Whether files of these names may be replaced.

        Returns:
            The two files.

        Raises:
            FileError: A file exists or cannot be written.
        """
        files = Path(folder) / "objects.csv", Path(folder) / "summary.csv"
        for file in files:
            require_free(file, force=force)
        for file, table in zip(files, (self.objects, self.summary), strict=True):
            with atomic_write(file, force=force) as part:
                text = as_csv(table, decimal_comma)
                part.write_text(text, encoding="utf-8", newline="")
        return files

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary."""
        html: str = self.summary.to_html(index=False)
        return html

    def __repr__(self) -> str:
        return f"<Measurements of {len(self.objects)} objects>"


def measure_objects(
    source: str | Path | Dataset | Result | Iterable[Result],
    *,
    images: str | Path | None = None,
    colours: bool = True,
    score: float = 0.0,
    mm_per_pixel: float | str | Path | None = None,
    scale_class: str | None = None,
    scale_length: float | None = None,
    progress: Progress | None = None,
) -> Measurements:
    """Measures objects: sizes, shapes, colours and distances.

    Args:
        source: A COCO file of annotations or predictions (or what `cvtk.data.read` makes of it), a result of
            `Model.predict`, or several.
        images: The folder that the file names in a COCO file are relative to; that of the file if left out.
        colours: Whether the images are read for the mean colours.
        score: The lowest score, 0 to 1, of the predictions that count; annotations have none, and all count.
        mm_per_pixel: Millimetres per pixel; or a CSV file with the columns `image` and `mm_per_pixel`.
        scale_class: In place of that, the class of scale objects in the images, such as rulers.
        scale_length: Their largest diameter in millimetres.
        progress: Called with the number of images that are done, and of all; not for results.

    Returns:
        The tables. Lengths are in pixels, and also in millimetres where there is a scale.

    Raises:
        FileError: A file is missing or cannot be read.
        DataError: The annotations cannot be used, no image has a scale, or an image does not fit them.
        OptionError: The options on the scale contradict each other, or name no class.
        InstallError: A package of `cvtk[analysis]` is missing.
    """
    require("analysis", "Measuring", "pandas", "scipy.spatial", "skimage.measure")
    scales = scales_of(mm_per_pixel, scale_class, scale_length)
    scenes: Iterator[Scene]
    if isinstance(source, (str, Path)):
        source = read(source)
    if isinstance(source, Dataset):
        folder = None if images is None else Path(images)
        scenes = scenes_of_dataset(source, images=folder, colours=colours, score=score)
        scenes = _counted(scenes, len(source.images), progress)
    else:
        results = [source] if isinstance(source, Result) else source
        scenes = scenes_of_results(results, colours=colours, score=score)
    return _tables(scenes, scales)


def _counted(
    scenes: Iterator[Scene], total: int, progress: Progress | None
) -> Iterator[Scene]:
    for done, scene in enumerate(scenes, 1):
        yield scene
        if progress is not None:
            progress(done, total)


def _tables(scenes: Iterator[Scene], scales: Scales | None) -> Measurements:
    object_columns: tuple[str, ...] = OBJECT_COLUMNS
    summary_columns: tuple[str, ...] = SUMMARY_COLUMNS
    if scales is not None:
        object_columns += OBJECT_MM_COLUMNS
        summary_columns += SUMMARY_MM_COLUMNS
    if isinstance(scales, ScaleObjects):
        object_columns += uncertainty_columns(OBJECT_UNCERTAINTIES)
        summary_columns += uncertainty_columns(SUMMARY_UNCERTAINTIES)
    objects, summary = _Table(object_columns), _Table(summary_columns)
    without_scale: list[str] = []
    images = 0
    for scene in scenes:
        images += 1
        if isinstance(scales, ScaleObjects):
            _require_class(scales.name, scene.classes)
        own = object_rows(scene)
        counts = summary_rows(scene, own)
        if scales is not None:
            scale = scales.of(scene.name, own)
            if scale is None:
                without_scale.append(scene.name)
            for row in (*own, *counts):
                add_millimetres(row, scale)
        if isinstance(scales, ScaleObjects):
            for row in own:
                add_uncertainties(row, OBJECT_UNCERTAINTIES)
            for row in counts:
                add_uncertainties(row, SUMMARY_UNCERTAINTIES)
        objects.add(own)
        summary.add(counts)
    _tell_without_scale(without_scale, images)
    return Measurements(objects.whole(), summary.whole())


class _Table:
    """A table that grows; its lines are packed into columns from time to time, which need far less memory."""

    def __init__(self, columns: tuple[str, ...], pack_at: int = 10_000) -> None:
        self._columns = list(columns)
        self._pack_at = pack_at
        self._rows: list[Row] = []
        self._parts: list[pd.DataFrame] = []

    def add(self, rows: list[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= self._pack_at:
            self._pack()

    def _pack(self) -> None:
        import pandas as pd

        self._parts.append(pd.DataFrame(self._rows, columns=self._columns))
        self._rows = []

    def whole(self) -> pd.DataFrame:
        """All lines."""
        import pandas as pd

        if self._rows or not self._parts:
            self._pack()
        return pd.concat(self._parts, ignore_index=True)


def _require_class(name: str, classes: Iterable[str]) -> None:
    known = list(classes)
    if name not in known:
        raise OptionError(
            f"--scale_class {name!r} is none of the classes {', '.join(map(repr, known))}.",
            did_you_mean(name, known),
        )


def _tell_without_scale(names: list[str], images: int) -> None:
    """Says which of so many images have no scale.

    Raises:
        DataError: None has one, which is a mistake.
    """
    if not names:
        return
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if len(names) == images:
        raise DataError(
            f"No image has a scale ({some}).",
            "Compare the names with those in the CSV file; or see whether the scale objects are in the images, "
            "with masks, and not cut by the border.",
        )
    logger.warning(
        f"Images without a scale, whose millimetres are empty: {len(names)} ({some})."
    )


def as_csv(table: pd.DataFrame, decimal_comma: bool = False) -> str:
    """A table as `Measurements.save` writes it."""
    text: str = _for_spreadsheets(table).to_csv(
        index=False,
        sep=";" if decimal_comma else ",",
        decimal="," if decimal_comma else ".",
        float_format="%.8g",
        lineterminator="\n",
    )
    return text


def _for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose texts no spreadsheet takes for formulas, and with TRUE and FALSE, which R reads as well."""
    texts = {
        column: table[column].map(harmless)
        for column in ("image", "object", "class")
        if column in table
    }
    if "touches_border" in table:
        words = {True: "TRUE", False: "FALSE"}
        texts["touches_border"] = table["touches_border"].map(words)
    copy: pd.DataFrame = table.assign(**texts)
    return copy
