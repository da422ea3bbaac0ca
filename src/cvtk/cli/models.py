"""`cvtk models`: the catalogue of architectures."""

from __future__ import annotations

import json

import click

from cvtk import zoo
from cvtk.errors import ModelError, did_you_mean


@click.command(
    epilog="""\b
Examples:
  cvtk models "mask rcnn" --max-memory 8
  cvtk models --task det --max-params 20
  cvtk models info rtmdet-ins_tiny
  cvtk models Mask-RT-DETR-L         (a model of Paddle: shows what comes near)"""
)
@click.argument("query", nargs=-1)
@click.option(
    "--task",
    type=click.Choice(["segm", "det"]),
    help="Instance segmentation or detection.",
)
@click.option("--family", help="Part of the family's name, e.g. 'RTMDet'.")
@click.option(
    "--max-params",
    type=float,
    metavar="M",
    help="At most this many million parameters.",
)
@click.option(
    "--max-memory",
    type=float,
    metavar="GB",
    help="At most this GPU memory in the published training.",
)
@click.option(
    "--limit",
    type=int,
    default=30,
    show_default=True,
    metavar="N",
    help="Rows to show; 0: all.",
)
@click.option("--json", "as_json", is_flag=True, help="All that is known, as JSON.")
def command(
    query: tuple[str, ...],
    task: str | None,
    family: str | None,
    max_params: float | None,
    max_memory: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find the architecture for --model: all models, those that fit QUERY, or `info NAME` for one.

    Sorted by mask AP (segmentation), then box AP (detection), as published; a method asked for by
    its exact name comes first. Memory is that of the published training, with its batch and image
    size.
    """
    if query[:1] == ("info",):
        if len(query) < 2:
            raise click.UsageError(
                "Which model? For example: cvtk models info rtmdet-ins_tiny"
            )
        entry = zoo.find(" ".join(query[1:]), task)
        click.echo(
            json.dumps(entry.to_dict(), indent=2) if as_json else _details(entry)
        )
        return
    text = " ".join(query)
    paddle = zoo.paddle_model(text)
    if paddle is None:
        found = zoo.search(text, task, family, max_params, max_memory)
    else:
        found = zoo.equivalents(paddle)
        click.echo(
            f"{paddle.name} exists only in Paddle (mask AP {paddle.mask_ap}, weights {paddle.size_mb:g} MB,"
            f" about {paddle.params:.0f} M parameters).\nNearest to it in mask AP and size, here:\n",
            err=as_json,
        )
    if not found:
        # In lower case, in which the search takes names as well.
        names = {name.lower() for e in zoo.catalogue() for name in (e.family, e.name)}
        close = did_you_mean(text.lower(), names) if text else ""
        raise ModelError(
            "No model fits.",
            f"{close} Take a filter away, or see all with: cvtk models".strip(),
        )
    if as_json:
        click.echo(json.dumps([e.to_dict() for e in found], indent=2))
        return
    shown = found[:limit] if limit > 0 else found
    click.echo(_table(shown))
    if len(shown) < len(found):
        click.echo(
            f"... and {len(found) - len(shown)} more: narrow the search, or --limit 0 for all."
        )
    if max_params is not None or max_memory is not None:
        click.echo("Models whose size or memory is not known are left out.")


def _table(entries: list[zoo.Entry]) -> str:
    header = (
        "name",
        "family",
        "mask AP",
        "box AP",
        "M params",
        "memory GB",
        "epochs",
        "weights",
    )
    rows = [
        (
            e.name,
            e.family,
            _figure(e.mask_ap),
            _figure(e.box_ap),
            _figure(e.params),
            _figure(e.memory_gb),
            str(e.epochs or "-"),
            "yes" if e.weights_url else "no",
        )
        for e in entries
    ]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        # Words to the left, figures to the right.
        cells = [
            c.ljust(w) if i in (0, 1, 7) else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _details(entry: zoo.Entry) -> str:
    rows = [
        ("name", entry.name),
        ("also called", ", ".join(entry.aliases)),
        ("family", entry.family),
        ("task", f"{entry.task} ({zoo.TASK_WORDS[entry.task]})"),
        ("mask AP", _figure(entry.mask_ap)),
        ("box AP", _figure(entry.box_ap)),
        ("figures on", entry.dataset),
        (
            "parameters",
            f"{entry.params:g} million (80 classes)" if entry.params else "-",
        ),
        ("training memory", f"{entry.memory_gb:g} GB" if entry.memory_gb else "-"),
        ("epochs", str(entry.epochs or "-")),
        ("paper", f"{entry.paper_title} {entry.paper_url}".strip()),
        ("configuration", str(entry.config)),
        ("weights", entry.weights_url or "none published"),
    ]
    shown = "\n".join(f"{label:<16}{value}" for label, value in rows if value)
    script = (
        f"cvtk create --script {entry.task}.py --task {entry.task} --model {entry.name}"
    )
    return f"{shown}\n\nMake a script with it:\n  {script}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
