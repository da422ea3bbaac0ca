"""What the commands of `cvtk data` share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from cvtk.errors import printable

FILE = click.Path(path_type=Path)
force_option = click.option("--force", is_flag=True, help="Replace what exists.")


def echo(text: object) -> None:
    """Prints a text; control characters in names, which could steer the terminal, are spelt out."""
    click.echo(printable(str(text)))


def echo_notes(notes: Sequence[object], most: int) -> None:
    """Prints notes, one per line, at most so many."""
    for note in notes[:most]:
        echo(f"  {note}")
    if len(notes) > most:
        echo(f"  ... and {len(notes) - most} more (--all shows them)")


def progress_bar(text: str) -> Callable[[int, int], None] | None:
    """A progress line on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            click.echo(f"\r{text}: {done}/{total}", nl=done == total, err=True)

    return show
