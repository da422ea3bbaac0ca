"""`cvtk data next`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cvtk.cli.data.common import FILE, echo, force_option
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
@click.argument("pool", type=FILE)
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1),
    default=NextOptions.count,
    show_default=True,
    help="How many images to choose.",
)
@click.option(
    "--labelled",
    "--labeled",
    type=FILE,
    help="Images that are labelled already: COCO file, folder or text file.",
)
@click.option(
    "--output",
    type=FILE,
    default=Path("next.txt"),
    show_default=True,
    help="Text file for the paths, as inference takes it.",
)
@click.option(
    "--predictions",
    type=FILE,
    metavar="NEXT.json",
    help="COCO file for what is found in the chosen images, to be corrected.",
)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    help="Lowest score of --predictions.  [default: those of the weights, else 0.3]",
)
@click.option(
    "--tile",
    metavar="N|auto",
    help="Cut large images into tiles, as inference does.",
)
@click.option(
    "--batch_size",
    "--batch-size",
    type=click.IntRange(1),
    default=NextOptions.batch_size,
    show_default=True,
    help="Images or tiles at once.",
)
@click.option(
    "--device",
    default=NextOptions.device,
    show_default=True,
    help="auto, cpu or cuda:0.",
)
@click.option(
    "--trust_weights",
    "--trust-weights",
    is_flag=True,
    help="Load weights that may run code; only from people you trust.",
)
@force_option
def command(
    model: Path,
    pool: Path,
    count: int,
    labelled: Path | None,
    output: Path,
    predictions: Path | None,
    score: float | None,
    tile: str | None,
    batch_size: int,
    device: str,
    trust_weights: bool,
    force: bool,
) -> None:
    """Choose the images of POOL that MODEL would learn most from, to label them next.

    MODEL is trained weights (.pth) or an exported model (.onnx); POOL is what inference takes: a folder, a
    text file of paths, a COCO file. Chosen are images with many unsure objects that look different from
    each other and from the labelled ones; near-duplicates are left out.
    """
    from cvtk.io import atomic_write, require_free
    from cvtk.model import create_model

    require_free(output, force=force)
    chosen = create_model(model, trust_weights=trust_weights).choose_next(
        pool,  # type: ignore[arg-type]  # a path
        count,
        labelled=labelled,
        predictions=predictions,
        score=score,
        tile=tile,  # type: ignore[arg-type]  # the options read it
        batch_size=batch_size,
        device=device,
        force=force,
    )
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
