"""`cvtk data tile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.options.shared import CHANNELS
from cvtk.words import counted

if TYPE_CHECKING:
    from cvtk.data.intensity import Intensity


def _checked(
    context: click.Context, parameter: click.Parameter, channels: str | None
) -> str | None:
    """What was given for `--channels`, if it can be read.

    Raises:
        click.BadParameter: It cannot.
    """
    if channels and not CHANNELS.fullmatch(channels):
        raise click.BadParameter("write three numbers, such as 3,1,2, or one")
    return channels


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
@click.option(
    "--intensity",
    type=click.Choice(["depth", "range", "percentiles"]),
    default="depth",
    show_default=True,
    help="How more than 8 bits are scaled, over the whole image; train with the same.",
)
@click.option("--page", type=click.IntRange(1), help="Page of TIFF files.")
@click.option(
    "--channels",
    callback=_checked,
    help="Channels of TIFF files, such as 3,1,2 or 2.",
)
@force_option
def command(
    file: Path,
    output: Path,
    tile: int,
    overlap: float,
    share: float,
    empty: bool,
    intensity: Intensity,
    page: int | None,
    channels: str | None,
    force: bool,
) -> None:
    """Cut large images and their annotations into tiles to train on."""
    from cvtk.data import read
    from cvtk.data.cut import cut_into_tiles
    from cvtk.data.reading import Reading

    done = cut_into_tiles(
        read(file),
        output,
        size=tile,
        overlap=overlap,
        share=share,
        empty=empty,
        reading=Reading(intensity).with_choices(page, channels),
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
