"""`cvtk data show`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(epilog="Example: cvtk data show train.json sheet.png --count 9")
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="How many images.",
)
@click.option("--seed", default=0, show_default=True, help="Which images.")
@force_option
def command(file: Path, output: Path, count: int, seed: int, force: bool) -> None:
    """Draw images with their annotations: to a folder, or to one sheet (.png, .jpg)."""
    from cvtk.data import read
    from cvtk.data.show import show

    files = show(read(file), output, count=count, seed=seed, force=force)
    echo(f"{counted(len(files), 'picture')}: {output}")
