"""`cvtk data stats`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cvtk.cli.data.common import FILE, echo


@click.command(epilog="Example: cvtk data stats train.json valid.json")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Count images and objects, by class and size."""
    from cvtk.data import read
    from cvtk.data.stats import stats, stats_text

    found = {str(file): stats(read(file)) for file in files}
    if as_json:
        echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        echo(stats_text(found))
