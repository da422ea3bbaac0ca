"""`cvtk data next`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvtk.cli.data.common import FILE, echo
from cvtk.cli.declared import declared_options
from cvtk.options import NextOptions
from cvtk.words import counted

if TYPE_CHECKING:
    from cvtk.engine.next_images import NextImage


@click.command(
    epilog="""\b
Examples:
  cvtk data next outputs/fruit.pth photos -n 20 --labelled train.json
  cvtk data next fruit.onnx photos --predictions next.json"""
)
@click.argument("model", type=FILE)
@declared_options(NextOptions, spelled={"count": "-n", "labelled": "--labeled"})
@click.option(
    "--output",
    type=FILE,
    default=Path("next.txt"),
    show_default=True,
    help="text file for the paths, as inference takes it",
)
@click.option(
    "--trust_weights",
    "--trust-weights",
    is_flag=True,
    help="load weights that may run code; only from people you trust",
)
def command(
    model: Path, output: Path, trust_weights: bool, force: bool, **values: Any
) -> None:
    """Choose the images of POOL that MODEL would learn most from, to label them next.

    MODEL is trained weights (.pth) or an exported model (.onnx); POOL is what inference takes: a folder, a
    text file of paths, a COCO file. Chosen are images with many unsure objects that look different from
    each other and from the labelled ones; near-duplicates are left out.
    """
    from cvtk.io import atomic_write, require_free
    from cvtk.model import create_model

    require_free(output, force=force)
    network = create_model(model, trust_weights=trust_weights)
    chosen = network.choose_next(force=force, **values)
    with atomic_write(output, force=force) as part:
        lines = [f"{_from(output, image.path)}\n" for image in chosen]
        part.write_text("".join(lines), encoding="utf-8")
    echo(_table(chosen))
    echo(f"\n{counted(len(chosen), 'image')}: {output}")


def _from(file: Path, image: Path) -> str:
    """The path of an image as the text file names it: relative to its own folder."""
    try:
        return Path(os.path.relpath(image, file.parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return str(image.absolute())


def _table(chosen: Sequence[NextImage]) -> str:
    """The images with the reasons."""
    from cvtk.tables import table

    rows = [
        (
            number,
            image.name,
            f"{image.uncertainty:.2f}",
            f"{image.difference:.2f}" if image.nearest else None,
            image.reason,
        )
        for number, image in enumerate(chosen, 1)
    ]
    header = ("", "image", "uncertainty", "difference", "why")
    told = table(rows, header, right=(0, 2, 3))
    return (
        f"{told}\n\n"
        "uncertainty: the entropy of the scores of the objects, summed, in bits.\n"
        "difference: of its colours from the most similar image that is labelled or above, 0 to 1.\n"
        "Chosen one by one, for the highest uncertainty x difference."
    )
