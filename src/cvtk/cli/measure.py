"""`cvtk measure`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option, progress_bar
from cvtk.words import counted


@click.command(
    epilog="""\b
Examples:
  cvtk measure outputs/instances.json --images photos --output tables
  cvtk measure train.json --output tables --mm_per_pixel 0.12
  cvtk measure train.json --output tables --scale_class ruler --scale_length 100"""
)
@click.argument("file", type=FILE)
@click.option(
    "--output",
    type=FILE,
    required=True,
    help="Folder for objects.csv and summary.csv.",
)
@click.option(
    "--images",
    type=FILE,
    help="Folder that the file names are relative to.  [default: that of annotations; no colours of predictions]",
)
@click.option(
    "--colours/--no-colours",
    default=True,
    show_default=True,
    help="Whether to read the images for mean colours.",
)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Lowest score of predictions that count.",
)
@click.option(
    "--mm_per_pixel",
    "--mm-per-pixel",
    metavar="X|FILE.csv",
    help="Millimetres per pixel, or a CSV file with the columns image and mm_per_pixel.",
)
@click.option(
    "--scale_class",
    "--scale-class",
    help="Class of the objects in the images whose size is known.",
)
@click.option(
    "--scale_length",
    "--scale-length",
    type=float,
    help="Their largest diameter in millimetres.",
)
@click.option(
    "--decimal_comma",
    "--decimal-comma",
    is_flag=True,
    help="Write decimals with a comma, and semicolons between columns, as spreadsheets in many languages expect.",
)
@force_option
def command(
    file: Path,
    output: Path,
    images: Path | None,
    colours: bool,
    score: float,
    mm_per_pixel: str | None,
    scale_class: str | None,
    scale_length: float | None,
    decimal_comma: bool,
    force: bool,
) -> None:
    """Measure the objects of a COCO file, predicted or annotated, to two tables.

    objects.csv has a line per object: area, perimeter, length, width, orientation, colour and more.
    summary.csv has a line per image and class: count, area, coverage. Both are in pixels, and in
    millimetres where a scale is given.
    """
    from cvtk.io import require_free
    from cvtk.measure.measure import measure_objects

    for name in ("objects.csv", "summary.csv"):
        require_free(output / name, force=force)
    found = measure_objects(
        file,
        images=images,
        colours=colours,
        score=score,
        mm_per_pixel=mm_per_pixel,
        scale_class=scale_class,
        scale_length=scale_length,
        progress=progress_bar("Images"),
    )
    objects, summary = found.save(output, decimal_comma=decimal_comma, force=force)
    echo(f"{counted(len(found.objects), 'object')}: {objects}, {summary}")
