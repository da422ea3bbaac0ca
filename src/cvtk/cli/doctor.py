"""`cvtk doctor`: is this installation sound?"""

from __future__ import annotations

import json

import click

from cvtk import doctor

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
    width = max(len(r.name) for r in results)
    for result in results:
        status = click.style(f"{result.status:<4}", fg=_COLOURS[result.status])
        click.echo(f"{status}  {result.name:<{width}}  {result.detail}")
        if result.remedy:
            click.echo(f"{'':<{width + 8}}-> {result.remedy}")
    if trains:
        click.echo("\nTraining works here.")
    else:
        broken = ", ".join(r.name for r in results if r.status == "fail")
        click.echo(f"\nTraining does not work here yet: mend {broken}, from the top.")
    ctx.exit(0 if trains else 1)
