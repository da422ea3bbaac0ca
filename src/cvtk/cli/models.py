"""`cvtk models`: the catalogue of architectures."""

from __future__ import annotations

import json

import click

from cvtk import zoo
from cvtk.errors import ModelError, did_you_mean
from cvtk.tables import table


@click.command(
    epilog="""\b
Examples:
  cvtk models "mask rcnn" --max-memory 8 --batch-size 2
  cvtk models --task det --max-params 20
  cvtk models info rtmdet-ins_tiny
  cvtk models Mask-RT-DETR-L         (a model of another toolbox: shows what comes near)"""
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
    help="At most this GPU memory for training, with the images of --batch-size.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    metavar="N",
    help="Images per step that the memory is estimated for.",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
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
    batch_size: int,
    limit: int,
    as_json: bool,
) -> None:
    """Find the architecture for --model: all models, those that fit QUERY, or `info NAME` for one.

    Sorted by mask AP (segmentation), then box AP (detection), as published; a method asked for by
    its exact name comes first. Memory is estimated from that of the published training, with its
    image size.
    """
    if query[:1] == ("info",):
        _show_one(" ".join(query[1:]), task, as_json)
        return
    text = " ".join(query)
    foreign = zoo.elsewhere(text)
    if foreign is None:
        found = zoo.search(text, task, family, max_params, max_memory, batch_size)
    else:
        found = zoo.nearest(foreign)
    if not found:
        raise ModelError(zoo.answer(foreign)) if foreign else _nothing_found(text)
    if foreign is not None:
        click.echo(f"{zoo.answer(foreign)}\n", err=as_json)
    if as_json:
        click.echo(json.dumps([e.to_dict() for e in found], indent=2))
        return
    shown = found[:limit] if limit else found
    click.echo(_list(shown, batch_size))
    if len(shown) < len(found):
        more = len(found) - len(shown)
        click.echo(f"... and {more} more: narrow the search, or --limit 0 for all.")
    if max_params is not None or max_memory is not None:
        click.echo("Models whose size or memory is not known are left out.")


def _show_one(name: str, task: str | None, as_json: bool) -> None:
    if not name:
        raise click.UsageError(
            "Which model? For example: cvtk models info rtmdet-ins_tiny"
        )
    entry = zoo.find(name, task)
    click.echo(json.dumps(entry.to_dict(), indent=2) if as_json else _details(entry))


def _nothing_found(query: str) -> ModelError:
    # In lower case, in which the search takes names as well.
    names = {name.lower() for e in zoo.catalogue() for name in (e.family, e.name)}
    close = did_you_mean(query.lower(), names) if query else ""
    advice = "Take a filter away, or see all with: cvtk models"
    return ModelError("No model fits.", f"{close} {advice}".strip())


def _list(entries: list[zoo.Entry], batch_size: int) -> str:
    """A table of models."""
    header = (
        "name",
        "family",
        "mask AP",
        "box AP",
        "M params",
        f"GB, batch {batch_size}",
        "epochs",
        "weights",
    )
    rows = [
        (
            entry.name,
            entry.family,
            _decimal(entry.mask_ap),
            _decimal(entry.box_ap),
            _decimal(entry.params),
            _decimal(entry.memory_with(batch_size)),
            entry.epochs,
            "yes" if entry.weights_url else "no",
        )
        for entry in entries
    ]
    return table(rows, header, right=range(2, 7))


def _details(entry: zoo.Entry) -> str:
    """All that is known of one model, and the command that creates a script with it."""
    params = f"{entry.params:g} million (80 classes)" if entry.params else "-"
    memory = "-"
    if entry.memory_gb:
        memory = f"{entry.memory_gb:g} GB for {entry.images_per_gpu} images per step"
    rows = [
        ("name", entry.name),
        ("also called", ", ".join(entry.aliases)),
        ("family", entry.family),
        ("task", f"{entry.task} ({zoo.TASK_WORDS[entry.task]})"),
        ("mask AP", _decimal(entry.mask_ap)),
        ("box AP", _decimal(entry.box_ap)),
        ("AP on", entry.dataset),
        ("parameters", params),
        ("training memory", memory),
        ("epochs", entry.epochs),
        ("paper", f"{entry.paper_title} {entry.paper_url}".strip()),
        ("configuration", entry.config),
        ("weights", entry.weights_url or "none published"),
    ]
    shown = table([row for row in rows if row[1] != ""])
    script = (
        f"cvtk create --script {entry.task}.py --task {entry.task} --model {entry.name}"
    )
    return f"{shown}\n\nMake a script with it:\n  {script}"


def _decimal(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
