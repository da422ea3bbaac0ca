"""`cvtk data check`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import (
    FILE,
    echo,
    echo_notes,
    force_option,
    progress_bar,
)
from cvtk.declare import declarations
from cvtk.options import TrainOptions
from cvtk.words import counted

SIZE = {d.name: d.option for d in declarations(TrainOptions)}["image_size"]


@click.command(
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
    "--image_size",
    "--image-size",
    type=click.IntRange(int(SIZE.minimum or 1), int(SIZE.maximum or 8192)),
    help="With --model: the --image_size that training will have.",
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
    help="Images to draw per split.",
)
@force_option
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    label: Path | None,
    model: str | None,
    image_size: int | None,
    output: Path,
    fix: Path | None,
    images: bool,
    samples: int,
    force: bool,
) -> None:
    """Find what would spoil training, in COCO files and their images.

    Writes check_dataset_result.json and an HTML page. Exit code 1 where there are errors.
    """
    from cvtk.data.checks import check
    from cvtk.data.checks.report import summary, write_report

    if len(files) > 3:
        raise click.UsageError(
            "Give one to three files: training, validation and test set."
        )
    if image_size is not None and model is None:
        raise click.UsageError("--image_size needs --model, whose pipeline resizes.")
    report = check(
        list(files), label=label, images=images, progress=progress_bar("images")
    )
    if model is not None:
        from cvtk.engine.survivors import survivors

        report.survivors = survivors(
            files[0], model, report.labels, image_size=image_size
        )
    page = write_report(report, output, count=samples, draw=images)
    echo(summary(report))
    echo(f"Report: {page}")
    if fix is not None:
        from cvtk.data.checks.repair import repair_file

        _, notes = repair_file(files[0], fix, images=images, force=force)
        echo(f"{fix}: {counted(len(notes), 'change')}")
        echo_notes(notes, len(notes))
    if not report.passed:
        ctx.exit(1)
