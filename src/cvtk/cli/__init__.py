"""The command line: a lazy group, and one small module per command."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from cvtk.errors import CvtkError, FileError, did_you_mean
from cvtk.log import show_messages

# command -> (module, one line for --help); the module is imported when the command runs.
COMMANDS = {
    "create": ("cvtk.cli.create", "Write a training script of your own."),
    "demo": ("cvtk.cli.demo", "Try everything on a small made-up data set."),
    "data": ("cvtk.cli.data", "Check, convert, split and show annotated images."),
    "measure": ("cvtk.cli.measure", "Sizes, shapes and colours of objects, as tables."),
    "compare": ("cvtk.cli.compare", "Is one of two models better, and is that sure?"),
    "export": (
        "cvtk.cli.export",
        "Weights as a file that needs no PyTorch and no MMDetection.",
    ),
    "serve": ("cvtk.cli.serve", "A model as a web service, with a page to try it."),
    "models": ("cvtk.cli.models", "Find the architecture for --model."),
    "doctor": (
        "cvtk.cli.doctor",
        "What is installed, what works, how to mend the rest.",
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests the nearest command for a misspelt one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            hint = did_you_mean(args[0], COMMANDS)
            ctx.fail(f"No such command {args[0]!r}. {hint}".strip())
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """The list of commands from the table, so that --help stays quick."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """The one place where an error for the user becomes a line on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except (CvtkError, OSError) as error:
            reader_has_gone = getattr(error, "errno", None) == errno.EPIPE
            if ctx.params.get("debug") or reader_has_gone:
                raise  # click ends quietly where `cvtk models | head` has seen enough
            label = click.style("Error:", fg="red", bold=True)
            click.echo(f"{label} {_for_user(error).on_command_line()}", err=True)
            ctx.exit(1)


def _for_user(error: CvtkError | OSError) -> CvtkError:
    """The error as one line that names the file; the system's own names only what failed."""
    if isinstance(error, CvtkError):
        return error
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return FileError(f"{reason}.", "Check the disk and the permissions.")
    return FileError(
        f"{error.filename}: {reason}.",
        "Check the path, its permissions and the space on the disk.",
    )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: cvtk demo",
)
@click.version_option(package_name="cvtk")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Instance segmentation and object detection on your own images."""
    # https://no-color.org: any non-empty value turns colour off.
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
    # A terminal that lacks a letter of a class name gets a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    show_messages()
