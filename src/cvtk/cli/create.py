"""`cvtk create`: writes a training script."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.options import DEFAULT_MODELS


@click.command(
    "create",
    epilog="""\b
Example:
  cvtk create --script segm.py --task segm --model rtmdet-ins_tiny_8xb32-300e_coco
  python segm.py train --help
  cvtk create --script ymir --task segm --target ymir""",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; of an executor, the folder.",
)
@click.option(
    "--task",
    type=click.Choice(list(DEFAULT_MODELS)),
    required=True,
    help="segm: masks and boxes; det: boxes.",
)
@click.option(
    "--model",
    default="",
    help="Architecture, see `cvtk models`; or a configuration file.",
)
@click.option(
    "--target",
    type=click.Choice(["script", "ymir"]),
    default="script",
    show_default=True,
    help="ymir: the folder of an executor for the YMIR platform.",
)
@click.option("--vanilla", is_flag=True, help="A script that does without cvtk.")
@click.option("--force", is_flag=True, help="Replace a script that exists.")
def command(
    script: Path, task: str, model: str, target: str, vanilla: bool, force: bool
) -> None:
    """Write a standalone script that trains, evaluates and infers."""
    from cvtk.scripts.create import create_script, imported_beside
    from cvtk.words import enumerated

    if target == "ymir":
        _create_executor(script, task, model, vanilla, force)
        return

    create_script(script, task, model, vanilla=vanilla, force=force)
    written = enumerated([str(path) for path in (script, *imported_beside(script))])
    click.echo(f"Wrote {written}. See: python {script} train --help")


def _create_executor(
    folder: Path, task: str, model: str, vanilla: bool, force: bool
) -> None:
    """Writes the folder of an executor for the YMIR platform."""
    from cvtk.ymir.create import create_executor

    if vanilla:
        raise click.UsageError("--vanilla is for scripts: an executor needs cvtk.")
    create_executor(folder, task, model, force=force)
    click.echo(f"Wrote {folder}. Build its image: docker build -t NAME {folder}")
