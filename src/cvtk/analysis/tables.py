"""The tables of an evaluation, for R, pandas and spreadsheets: comma-separated, UTF-8, a dot in decimals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.counts import PerImage, agreement
from cvtk.analysis.matching import NOTHING
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.study import Study
from cvtk.data.csv_files import Row, write_csv


def write_tables(study: Study, folder: Path, *, force: bool = False) -> None:
    """Writes metrics.csv, images.csv and objects.csv.

    Raises:
        FileError: One exists and `force` was not said, or cannot be written.
    """
    for name, rows in (
        ("metrics.csv", metrics_rows(study)),
        ("images.csv", images_rows(study)),
        ("objects.csv", objects_rows(study)),
    ):
        write_csv(folder / name, rows, force=force)


def without_nan(value: Any) -> Any:
    """Dictionaries and lists of numbers as JSON takes them: what is not defined is None."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def metrics_rows(study: Study) -> Iterator[Row]:
    """One row per class and metric, those of all classes first, whose class is empty."""
    told = study.intervals
    for name, metrics in (("", told.overall), *told.by_class.items()):
        for metric, interval in metrics.items():
            yield {
                "class": name,
                "metric": metric,
                "value": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        counts = study.per_image.get(name) or _together(study)
        yield from _agreement_rows(name, counts)


def images_rows(study: Study) -> Iterator[Row]:
    """One row per image, in the order of the data set."""
    numbers = study.matches.truth.image_numbers
    count = len(numbers) + 1
    matches, told = study.matches, study.outcomes
    found = told.true == Outcome.CORRECT
    missed = ~found & ~matches.is_crowd
    is_kept = study.is_kept & (told.detection != Outcome.IN_CROWD)
    wrong = is_kept & (told.detection != Outcome.CORRECT)
    hits = is_kept & ~wrong

    def per_image(image: NDArray[np.int64], chosen: NDArray[np.bool_]) -> list[int]:
        return [int(n) for n in np.bincount(image[chosen], minlength=count)]

    true_image, found_image = matches.true_image, matches.found.image
    iou = np.bincount(found_image[hits], weights=told.iou[hits], minlength=count)
    columns = {
        "true": per_image(true_image, ~matches.is_crowd),
        "predicted": per_image(found_image, is_kept),
        "found": per_image(true_image, found),
        "missed": per_image(true_image, missed),
        "wrong": per_image(found_image, wrong),
    }
    for image in study.dataset.images:
        number = numbers[image.id]
        row: Row = {"image": image.file_name}
        row |= {name: values[number] for name, values in columns.items()}
        hit = columns["found"][number]
        row["mean_iou"] = float(iou[number] / hit) if hit else math.nan
        yield row


def objects_rows(study: Study) -> Iterator[Row]:
    """One row per true object, in the order of the file, then one per prediction, best first."""
    matches, told = study.matches, study.outcomes
    names, classes = matches.truth.image_names, matches.truth.classes
    for index, true in enumerate(matches.truth.objects):
        by = int(told.found_by[index])
        is_known = by != NOTHING
        yield {
            "row": "object",
            "number": index + 1,
            "image": names[true.image - 1],
            "class": classes[true.category - 1],
            "outcome": _words(study, told.true[index]),
            "matched_to": int(matches.number[by]) if is_known else "",
            "matched_class": classes[matches.found.category[by] - 1]
            if is_known
            else "",
            "iou": float(told.iou[by]) if is_known else math.nan,
            "score": float(matches.found.score[by]) if is_known else math.nan,
            "above_cut": "",
            "area": float(study.true_area[index]),
            **_box(true.bbox),
        }
    for index in range(len(matches.found)):
        about = int(told.about[index])
        is_known = about != NOTHING
        yield {
            "row": "prediction",
            "number": int(matches.number[index]),
            "image": names[matches.found.image[index] - 1],
            "class": classes[matches.found.category[index] - 1],
            "outcome": _words(study, told.detection[index]),
            "matched_to": about + 1 if is_known else "",
            "matched_class": classes[matches.true_category[about] - 1]
            if is_known
            else "",
            "iou": float(told.iou[index]),
            "score": float(matches.found.score[index]),
            "above_cut": "yes" if study.is_kept[index] else "no",
            "area": float(study.found_area[index]),
            **_box(matches.found.bbox[index].tolist()),
        }


def _words(study: Study, outcome: int) -> str:
    return Outcome(int(outcome)).words(study.matches.kind)


def _box(bbox: Sequence[float]) -> Row:
    return dict(zip(("x", "y", "width", "height"), map(float, bbox), strict=True))


def _together(study: Study) -> PerImage:
    """Counts and areas of all classes."""
    classes = list(study.per_image.values())
    zeros = np.zeros(len(study.matches.truth.image_names))
    return PerImage(
        *(
            sum((getattr(counts, name) for counts in classes), zeros)
            for name in ("true_count", "found_count", "true_area", "found_area")
        )
    )


def _agreement_rows(name: str, counts: PerImage) -> Iterator[Row]:
    """The agreement of counts and of areas per image; the limits of agreement stand beside the bias."""
    for what, true, found in (
        ("count", counts.true_count, counts.found_count),
        ("area", counts.true_area, counts.found_area),
    ):
        told = agreement(true, found)
        for metric, value, low, high in (
            ("bias (limits of agreement)", told.bias, told.lower, told.upper),
            ("mean absolute error", told.mae, math.nan, math.nan),
            ("R2", told.r2, math.nan, math.nan),
        ):
            yield {
                "class": name,
                "metric": f"{what} per image: {metric}",
                "value": value,
                "low": low,
                "high": high,
            }
