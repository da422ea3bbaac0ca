"""`cvtk doctor`: is this installation sound?"""

from __future__ import annotations

import json

import click

from cvtk import doctor
from cvtk.tables import table

_COLOURS = {"ok": "green", "note": "yellow", "fail": "red"}


@click.command(
    epilog="""\b
Examples:
  cvtk doctor
  cvtk doctor --json > report.json     (for a bug report)"""
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """What is installed, what works, how to mend the rest.

    Really tries each part, so it takes some seconds. Ends with exit code 0 where models can be
    trained, with 1 where something that training needs fails.
    """
    results = doctor.examine()
    trains = doctor.can_train(results)
    if as_json:
        click.echo(json.dumps(doctor.report(results), indent=2))
        ctx.exit(0 if trains else 1)
    click.echo(_report(results))
    if trains:
        click.echo("\nTraining works here.")
    else:
        broken = ", ".join(r.name for r in results if r.status == "fail")
        click.echo(f"\nTraining does not work here yet: mend {broken}, from the top.")
    ctx.exit(0 if trains else 1)


def _report(results: list[doctor.Check]) -> str:
    """One line per check, its status in colour, and what to do below it."""
    rows = []
    for result in results:
        rows.append((result.status, result.name, result.detail))
        if result.remedy:
            rows.append(("", "", f"-> {result.remedy}"))
    lines = []
    for (status, *_), line in zip(rows, table(rows).splitlines(), strict=True):
        coloured = click.style(status, fg=_COLOURS[status]) if status else ""
        lines.append(coloured + line.removeprefix(status))
    return "\n".join(lines)
