"""`cvtk data remove`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(
    epilog="Example: cvtk data remove all.json less.json --class leaf --image IMG_1.jpg"
)
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--image", "images", multiple=True, help="An image, by id or file name.")
@click.option("--class", "classes", multiple=True, help="A class, by name or id.")
@click.option(
    "--annotation", "annotations", multiple=True, help="An annotation, by id."
)
@click.option("--empty", is_flag=True, help="Images without annotations.")
@force_option
def command(
    source: Path,
    target: Path,
    images: tuple[str, ...],
    classes: tuple[str, ...],
    annotations: tuple[str, ...],
    empty: bool,
    force: bool,
) -> None:
    """Copy a COCO file without some images, classes or annotations."""
    from cvtk.data.edit import remove_from_file

    before, data = remove_from_file(
        source,
        target,
        images=images,
        classes=classes,
        annotations=annotations,
        empty=empty,
        force=force,
    )
    echo(
        f"{target}: {counted(len(data.images), 'image')} (of {len(before.images)}), "
        f"{counted(len(data.annotations), 'annotation')} (of {len(before.annotations)})"
    )
