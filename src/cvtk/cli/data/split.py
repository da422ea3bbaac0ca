"""`cvtk data split`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(
    epilog="Example: cvtk data split all.json --ratios 8:1:1 --group-by 'plant(\\d+)'"
)
@click.argument("file", type=FILE)
@click.option(
    "--output", type=FILE, help="Folder for train.json ...; that of FILE if left out."
)
@click.option(
    "--ratios",
    default="8:1:1",
    show_default=True,
    help="Shares of train, valid and test.",
)
@click.option(
    "--folds", type=click.IntRange(2, 1000), help="Instead: pairs for cross-validation."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Equal seeds give equal splits.",
)
@click.option(
    "--group-by",
    help="Keep images together: a regular expression on names, or a column of --groups.",
)
@click.option("--groups", type=FILE, help="A CSV file with a column file_name.")
@click.option(
    "--images/--no-images",
    default=True,
    show_default=True,
    help="Keep near-duplicates together.",
)
@force_option
def command(
    file: Path,
    output: Path | None,
    ratios: str,
    folds: int | None,
    seed: int,
    group_by: str | None,
    groups: Path | None,
    images: bool,
    force: bool,
) -> None:
    """Split a COCO file, balanced by class; images that belong together stay together."""
    from cvtk.data.split import balance, split_file

    if groups is not None and group_by is None:
        raise click.UsageError("--groups needs --group-by COLUMN.")
    result, files = split_file(
        file,
        output,
        ratios=ratios,
        folds=folds,
        seed=seed,
        group_by=group_by,
        group_table=groups,
        look=images,
        force=force,
    )
    echo(balance(result.parts))
    if result.kept_together:
        echo(f"{counted(result.groups, 'group')}; images of one group are in one part.")
    for note in result.notes:
        echo(f"Note: {note}")
    echo("Written: " + ", ".join(str(path) for path in files.values()))
