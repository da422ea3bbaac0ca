"""`cvtk data`: a lazy group; each command is a module that parses, calls one function and echoes."""

from __future__ import annotations

import importlib

import click

# command -> one line for --help; its module in this package is imported when it runs.
COMMANDS = {
    "convert": "Convert what a labelling tool wrote.",
    "check": "Find what would spoil training.",
    "split": "Split a COCO file, balanced by class.",
    "combine": "Make one COCO file of several.",
    "remove": "Copy a COCO file without some parts.",
    "crop": "Write each object as an image.",
    "tile": "Cut large images into tiles.",
    "stats": "Count images and objects.",
    "diff": "Say what people changed.",
    "next": "Choose the images to label next.",
    "show": "Draw images with their annotations.",
}


class _Group(click.Group):
    """Imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cvtk.cli.data.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """The list of commands from the table, so that --help stays quick."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: cvtk data convert photos all.json",
)
def command() -> None:
    """Check, convert, split and show annotated images."""
