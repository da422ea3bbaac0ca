"""`cvtk demo`: the main job in one command."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: cvtk demo --output fruit --seed 1")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("cvtk-demo"),
    show_default=True,
    help="Folder for the data set, the script and what it writes.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Another seed draws other pictures.",
)
@click.option("--data-only", is_flag=True, help="Make the data set and stop.")
@click.option(
    "--poses",
    is_flag=True,
    help="With --data-only: dancers with keypoints in place of fruit, for pose2seg_r50_fpn.",
)
@click.option(
    "--force", is_flag=True, help="Replace what an earlier demo left in that folder."
)
def command(output: Path, seed: int, data_only: bool, poses: bool, force: bool) -> None:
    """Try everything on a small made-up data set, in about five minutes.

    Draws pictures of fruit with their masks, creates a script, trains a small model from scratch, evaluates
    it and shows what it finds. Each step's command is printed: copy it for your own images.
    """
    from cvtk.demo import make_demo, run_demo

    if poses and not data_only:
        raise click.UsageError("--poses makes a data set alone: add --data-only.")
    if data_only:
        files = make_demo(output, seed=seed, poses=poses, force=force)
        click.echo(f"{files.label}\n{files.train}\n{files.valid}\n{files.test}")
    else:
        run_demo(output, seed=seed, force=force, show=click.echo)
