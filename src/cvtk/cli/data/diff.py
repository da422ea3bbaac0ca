"""`cvtk data diff`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cvtk.cli.data.common import FILE, echo, force_option
from cvtk.words import counted

if TYPE_CHECKING:
    from cvtk.data.changes import Changes, Kind

# So many images are shown, those with the most changes first.
_IMAGES = 10


@click.command(
    epilog="""\b
Examples:
  cvtk data diff found/instances.json corrected
  cvtk data diff old.json new.json --output changes.csv"""
)
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Lowest score of predictions that count: the one of `cvtk data convert`.",
)
@click.option(
    "--iou",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.3,
    show_default=True,
    help="Least IoU of an object before and after; below, it counts as another one.",
)
@click.option(
    "--same",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.98,
    show_default=True,
    help="IoU from which an outline counts as unchanged.",
)
@click.option(
    "--output",
    type=FILE,
    help="File for each object (.csv), or for everything (.json).",
)
@force_option
def command(
    before: Path,
    after: Path,
    score: float,
    iou: float,
    same: float,
    output: Path | None,
    force: bool,
) -> None:
    """Say what people changed: objects added, removed, reshaped and renamed, by class and image.

    BEFORE and AFTER are files or folders in any format that `cvtk data convert` reads: predictions and
    what came back from the labelling tool, or two versions of a data set.
    """
    from cvtk.data.changes import require_csv_or_json
    from cvtk.data.versions import diff
    from cvtk.io import require_free

    if output is not None:
        require_csv_or_json(output)
        require_free(output, force=force)
    changes = diff(before, after, score=score, least_iou=iou, same_iou=same)
    echo(_told(changes, before, after))
    echo(
        f"\nMatched one to one by the IoU of masks (boxes, where one has no mask), at least {iou:g}; "
        f"unchanged from {same:g} on."
    )
    if output is not None:
        echo(f"Written: {changes.save(output, force=force)}")


def _told(changes: Changes, before: Path, after: Path) -> str:
    """The tables and the sentences."""
    lines = [f"{counted(len(changes.images), 'image')} compared."]
    for names, only in ((changes.only_before, before), (changes.only_after, after)):
        if names:
            some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            lines.append(
                f"Only in {only}, and left out: {counted(len(names), 'image')} ({some})."
            )
    if changes.crowds:
        lines.append(
            f"{counted(changes.crowds, 'crowd')} and {counted(changes.in_crowds, 'object')} in them left out."
        )
    by_class = changes.by_class()
    lines += ["", _table("class", {**by_class, "all": changes.counts()})]
    renamed = [f"{a} -> {b}: {n}" for (a, b), n in changes.renamings().items()]
    if renamed:
        lines += ["", "Renamed: " + ", ".join(renamed)]
    if not math.isnan(changes.mean_iou()):
        lines += [
            "",
            f"Mean IoU of the objects on both sides: {changes.mean_iou():.3f}",
        ]
    images = changes.by_image()
    changed = {name: counts for name, counts in images.items() if _changed(counts)}
    if changed:
        most = sorted(changed, key=lambda name: -_changed(changed[name]))[:_IMAGES]
        lines += ["", _table("image", {name: changed[name] for name in most})]
        if len(changed) > _IMAGES:
            lines.append(f"... and {len(changed) - _IMAGES} more (--output has all)")
    return "\n".join(lines)


def _changed(counts: dict[Kind, int]) -> int:
    return sum(counts.values()) - counts["unchanged"]


def _table(what: str, rows: dict[str, dict[Kind, int]]) -> str:
    from cvtk.data.changes import KINDS
    from cvtk.tables import table

    cells = [(name, *counts.values()) for name, counts in rows.items()]
    return table(cells, (what, *KINDS), right=range(1, len(KINDS) + 1))
