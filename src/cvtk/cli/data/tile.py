"""`cvtk data tile`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(epilog="Example: cvtk data tile train.json tiles --tile 640")
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@click.option(
    "--tile", type=click.IntRange(32, 100_000), required=True, help="Size in pixels."
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 0.9),
    default=0.2,
    show_default=True,
    help="Share of a tile that the next one sees too.",
)
@click.option(
    "--share",
    type=click.FloatRange(0.01, 1),
    default=0.5,
    show_default=True,
    help="Share of an object that a tile must show, or the object is left out there.",
)
@click.option("--empty", is_flag=True, help="Write tiles without objects too.")
@force_option
def command(
    file: Path,
    output: Path,
    tile: int,
    overlap: float,
    share: float,
    empty: bool,
    force: bool,
) -> None:
    """Cut large images and their annotations into tiles to train on."""
    from cvtk.data import read
    from cvtk.data.cut import cut_into_tiles

    done = cut_into_tiles(
        read(file),
        output,
        size=tile,
        overlap=overlap,
        share=share,
        empty=empty,
        force=force,
    )
    echo(f"{counted(done.tiles, 'tile')}: {done.file}")
    echo(
        f"{counted(done.empty, 'tile')} without objects {'written too' if empty else 'left out (--empty)'}."
    )
    echo(
        f"Objects in tiles: {done.whole} whole, {done.cut} cut by an edge and kept, "
        f"{done.left_out} left out since less than {share:g} of them is in the tile."
    )
    if done.lost:
        echo(
            f"{counted(done.lost, 'object')} in no tile at all: larger tiles, more --overlap or a lower --share keep them."
        )
