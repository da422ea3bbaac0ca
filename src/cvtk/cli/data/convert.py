"""`cvtk data convert`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, echo_notes, force_option
from cvtk.data.formats.records import FORMATS, WRITTEN
from cvtk.words import counted


@click.command(
    epilog="""\b
Examples:
  cvtk data convert photos/ all.json
  cvtk data convert found/instances.json to_correct --to labelme --image_folder photos"""
)
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option(
    "--from",
    "from_",
    type=click.Choice(tuple(FORMATS)),
    help="Format of SOURCE; found out if left out.",
)
@click.option(
    "--to", type=click.Choice(WRITTEN), help="Format of TARGET; coco if left out."
)
@click.option(
    "--split", help="YOLO: which split of data.yaml to read; all if left out."
)
@click.option(
    "--images/--no-images",
    default=True,
    show_default=True,
    help="Copy images that lie outside the folder of TARGET.",
)
@click.option(
    "--label", type=FILE, help="Write the class names to this file, for training."
)
@click.option(
    "--boxes-to-masks",
    is_flag=True,
    help="Objects that have a box alone get it as their mask; else they stay boxes.",
)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Lowest score of predictions that are kept.",
)
@click.option(
    "--image_folder",
    "--image-folder",
    type=FILE,
    help="Folder of the images; that of SOURCE if left out. Predictions need it.",
)
@click.option("--all", "every", is_flag=True, help="Show every note, not the first 50.")
@force_option
def command(
    source: Path,
    target: Path,
    from_: str | None,
    to: str | None,
    split: str | None,
    images: bool,
    label: Path | None,
    boxes_to_masks: bool,
    score: float,
    image_folder: Path | None,
    every: bool,
    force: bool,
) -> None:
    """Convert what a labelling tool wrote, or what a model found; SOURCE is not changed.

    TARGET is a .json file for COCO, a folder for other formats. Reports what could not be carried over.
    """
    from cvtk.data.convert import convert

    done = convert(
        source,
        target,
        source_format=from_,
        target_format=to,
        split=split,
        images=images,
        label=label,
        boxes_to_masks=boxes_to_masks,
        score=score,
        image_folder=image_folder,
        force=force,
    )
    data = done.dataset
    echo(
        f"{target}: {counted(len(data.images), 'image')}, {counted(len(data.annotations), 'annotation')}, "
        f"classes: {', '.join(data.class_names)} ({done.source_format} to {done.target_format})"
    )
    if done.copied:
        where = target.parent / "images" if done.target_format == "coco" else target
        echo(f"{counted(done.copied, 'image')} copied below {where}")
    if done.notes:
        echo("Changed or not carried over:")
        echo_notes(done.notes, len(done.notes) if every else 50)
