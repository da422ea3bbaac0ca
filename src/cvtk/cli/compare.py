"""`cvtk compare`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option


@click.command(
    epilog="""\b
Examples:
  cvtk compare outputs/small outputs/large
  cvtk compare small.pth large.pth --data data/test/segm.json
  cvtk compare fruit.pth fruit.onnx --data data/test/segm.json
  cvtk compare small.pth large.pth --data test.json --by site --groups sites.csv"""
)
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option(
    "--data",
    type=FILE,
    help="COCO file of the images.  [default: what both were evaluated on]",
)
@click.option(
    "--by",
    help="Also compare by group: a column of --groups, or a regular expression on names.",
)
@click.option("--groups", type=FILE, help="A CSV file with a column file_name.")
@click.option("--output", type=FILE, help="CSV file for all numbers.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="For weights: auto, cpu or cuda:0.",
)
@force_option
def command(
    first: Path,
    second: Path,
    data: Path | None,
    by: str | None,
    groups: Path | None,
    output: Path | None,
    device: str,
    force: bool,
) -> None:
    """Compare two models on the same images: is one better, and how sure is that?

    FIRST and SECOND are folders that evaluate or a training wrote, or weights (.pth) or exported models
    together with --data.
    """
    from cvtk.data.csv_files import write_csv
    from cvtk.engine.compare import compare
    from cvtk.io import require_free

    if groups is not None and by is None:
        raise click.UsageError("--groups needs --by COLUMN.")
    if output is not None:
        require_free(output, force=force)
    told = compare(first, second, data, by=by, groups=groups, device=device)
    echo(told)
    if output is not None:
        write_csv(output, told.rows(), force=force)
        echo(f"\nWritten: {output}")
