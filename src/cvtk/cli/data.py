"""`cvtk data`: check, convert, split, combine, crop, remove, stats and show; each parses and calls one function."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
FORMATS = ("coco", "labelme", "voc", "yolo", "via", "cvat", "labelstudio", "masks")
_force = click.option("--force", is_flag=True, help="Replace what exists.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: cvtk data convert photos all.json",
)
def command() -> None:
    """Check, convert, split and show annotated images."""


def _bar(text: str) -> Callable[[int, int], None] | None:
    """A progress line on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            click.echo(f"\r{text}: {done}/{total}", nl=done == total, err=True)

    return show


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _notes(notes: list[Any], most: int = 50) -> None:
    for note in notes[:most]:
        click.echo(f"  {note}")
    if len(notes) > most:
        click.echo(f"  ... and {len(notes) - most} more (--all shows them)")


@command.command(epilog="Example: cvtk data convert photos/ all.json")
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option(
    "--from",
    "from_",
    type=click.Choice(FORMATS),
    help="Format of SOURCE; found out if left out.",
)
@click.option(
    "--to",
    type=click.Choice(("coco", "yolo", "labelme", "voc")),
    help="Format of TARGET; coco if left out.",
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
@click.option("--all", "every", is_flag=True, help="Show every note, not the first 50.")
@_force
def convert(
    source: Path,
    target: Path,
    from_: str | None,
    to: str | None,
    split: str | None,
    images: bool,
    label: Path | None,
    every: bool,
    force: bool,
) -> None:
    """Convert what a labelling tool wrote; SOURCE is not changed.

    TARGET is a .json file for COCO, a folder for other formats. Reports what could not be carried over.
    """
    from cvtk.data.convert import convert as run

    done = run(
        source,
        target,
        source_format=from_,
        target_format=to,
        split=split,
        images=images,
        label=label,
        force=force,
    )
    data = done.dataset
    click.echo(
        f"{target}: {_counted(len(data.images), 'image')}, {_counted(len(data.annotations), 'annotation')}, "
        f"classes: {', '.join(data.class_names)} ({done.source_format} to {done.target_format})"
    )
    if done.copied:
        where = target.parent / "images" if done.target_format == "coco" else target
        click.echo(f"{_counted(done.copied, 'image')} copied below {where}")
    if done.notes:
        click.echo("Changed or not carried over:")
        _notes(done.notes, len(done.notes) if every else 50)


@command.command(
    epilog="Example: cvtk data check train.json valid.json test.json --label label.txt"
)
@click.argument(
    "files", type=FILE, nargs=-1, required=True, metavar="TRAIN [VALID [TEST]]"
)
@click.option("--label", type=FILE, help="The label file that training will read.")
@click.option(
    "--model",
    metavar="NAME",
    help="Run the annotations through this model's training pipeline.",
)
@click.option(
    "--output",
    type=FILE,
    default=Path("output"),
    show_default=True,
    help="Folder of the report.",
)
@click.option(
    "--fix", type=FILE, metavar="OUT.json", help="Write a repaired copy of TRAIN."
)
@click.option(
    "--images/--no-images", default=True, show_default=True, help="Open the images."
)
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=6,
    show_default=True,
    help="Images to draw a split.",
)
@_force
@click.pass_context
def check(
    ctx: click.Context,
    files: tuple[Path, ...],
    label: Path | None,
    model: str | None,
    output: Path,
    fix: Path | None,
    images: bool,
    samples: int,
    force: bool,
) -> None:
    """Find what would spoil training, in COCO files and their images.

    Writes check_dataset_result.json and an HTML page. Exit code 1 where there are errors.
    """
    from cvtk.data.check import check as run
    from cvtk.data.report import summary, write_report

    if len(files) > 3:
        raise click.UsageError(
            "Give one to three files: training, validation and test set."
        )
    report = run(list(files), label=label, images=images, progress=_bar("images"))
    if model is not None:
        from cvtk.engine.survivors import survivors

        report.survivors = survivors(files[0], model, report.labels)
    page = write_report(report, output, count=samples, draw=images)
    click.echo(summary(report))
    click.echo(f"Report: {page}")
    if fix is not None:
        from cvtk.data.repair import repair_file

        _, notes = repair_file(files[0], fix, images=images, force=force)
        click.echo(f"{fix}: {_counted(len(notes), 'change')}")
        _notes(notes, len(notes))
    if not report.passed:
        ctx.exit(1)


@command.command(
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
    "--seed", default=0, show_default=True, help="Equal seeds give equal splits."
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
@_force
def split(
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
    click.echo(balance(result.parts))
    if result.kept_together:
        click.echo(
            f"{_counted(result.groups, 'group')}; images of one group are in one part."
        )
    click.echo("Written: " + ", ".join(str(path) for path in files.values()))


@command.command(
    epilog="Example: cvtk data combine a/all.json b/all.json both/all.json"
)
@click.argument("sources", type=FILE, nargs=-1, required=True)
@click.argument("target", type=FILE)
@_force
def combine(sources: tuple[Path, ...], target: Path, force: bool) -> None:
    """Make one COCO file of several; classes of equal names become one."""
    from cvtk.data.edit import combine_files

    data, copied = combine_files(list(sources), target, force=force)
    click.echo(
        f"{target}: {_counted(len(data.images), 'image')}, {_counted(len(data.annotations), 'annotation')}, "
        f"classes: {', '.join(data.class_names)}"
    )
    if copied:
        click.echo(
            f"{_counted(copied, 'image')} copied below {target.parent / 'images'}"
        )


@command.command(
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
@_force
def remove(
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
    click.echo(
        f"{target}: {_counted(len(data.images), 'image')} (of {len(before.images)}), "
        f"{_counted(len(data.annotations), 'annotation')} (of {len(before.annotations)})"
    )


@command.command(epilog="Example: cvtk data crop train.json crops/ --margin 5")
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
@_force
def crop(file: Path, output: Path, margin: int, masked: bool, force: bool) -> None:
    """Write each object as an image: OUTPUT/CLASS/IMAGE_ID.png."""
    from cvtk.data import read
    from cvtk.data.edit import crop as run

    click.echo(
        f"{_counted(len(run(read(file), output, margin=margin, masked=masked, force=force)), 'image')}: {output}"
    )


@command.command(epilog="Example: cvtk data stats train.json valid.json")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def stats(files: tuple[Path, ...], as_json: bool) -> None:
    """Count images and objects, by class and size."""
    from cvtk.data import read
    from cvtk.data.stats import stats as run
    from cvtk.data.stats import stats_text

    found = {str(file): run(read(file)) for file in files}
    click.echo(
        json.dumps(found, ensure_ascii=False, indent=2)
        if as_json
        else stats_text(found)
    )


@command.command(epilog="Example: cvtk data show train.json sheet.png --count 9")
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
@_force
def show(file: Path, output: Path, count: int, seed: int, force: bool) -> None:
    """Draw images with their annotations: to a folder, or to one sheet (.png, .jpg)."""
    from cvtk.data import read
    from cvtk.data.show import show as run

    files = run(read(file), output, count=count, seed=seed, force=force)
    click.echo(f"{_counted(len(files), 'picture')}: {output}")
