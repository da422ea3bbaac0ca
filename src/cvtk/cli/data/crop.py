"""`cvtk data crop`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(epilog="Example: cvtk data crop train.json crops/ --margin 5")
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@click.option(
    "--margin",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Pixels around each object.",
)
@click.option("--masked", is_flag=True, help="Make what is not the object transparent.")
@force_option
def command(file: Path, output: Path, margin: int, masked: bool, force: bool) -> None:
    """Write each object as an image: OUTPUT/CLASS/IMAGE_ID.png."""
    from cvtk.data import read
    from cvtk.data.crop import crop

    files = crop(read(file), output, margin=margin, masked=masked, force=force)
    echo(f"{counted(len(files), 'image')}: {output}")
