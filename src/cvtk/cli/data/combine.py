"""`cvtk data combine`."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted


@click.command(epilog="Example: cvtk data combine a/all.json b/all.json both/all.json")
@click.argument("sources", type=FILE, nargs=-1, required=True)
@click.argument("target", type=FILE)
@force_option
def command(sources: tuple[Path, ...], target: Path, force: bool) -> None:
    """Make one COCO file of several; classes of equal names become one."""
    from cvtk.data.edit import combine_files

    data, copied = combine_files(list(sources), target, force=force)
    echo(
        f"{target}: {counted(len(data.images), 'image')}, {counted(len(data.annotations), 'annotation')}, "
        f"classes: {', '.join(data.class_names)}"
    )
    if copied:
        echo(f"{counted(copied, 'image')} copied below {target.parent / 'images'}")
