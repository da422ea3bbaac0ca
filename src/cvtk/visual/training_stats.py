"""The tables and curves of a training, beside its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cvtk.visual.class_curves import class_rows, plot_classes
from cvtk.visual.curves import (
    plot_losses,
    plot_scores,
    read_scalars,
    training_rows,
    validation_rows,
    write_statistics,
)


def write_training_stats(
    workspace: Path, kinds: Sequence[str], *, best_by: str = ""
) -> None:
    """Writes the tables and curves of a training; call it after any epoch, or at the end.

    Args:
        workspace: The folder with MMEngine's logs, of all starts where it was resumed. For `outputs/a` the
            files are `outputs/a.train_stats.train.txt` and `.png`, and the same with `valid` and `classes`;
            a table without rows is not written.
        kinds: What is evaluated, `bbox` and perhaps `segm`.
        best_by: The column that decides which epoch is best; the AP of the last kind where left out.

    Raises:
        FileError: A file cannot be written.
    """
    lines = read_scalars(workspace)
    training, validation = training_rows(lines), validation_rows(lines, kinds)
    by_class = class_rows(lines, kinds)
    if training:
        stem = Path(f"{workspace}.train_stats.train")
        write_statistics(stem, training, plot_losses(training))
    if validation:
        stem = Path(f"{workspace}.train_stats.valid")
        best_by = best_by or f"coco/{kinds[-1]}_mAP"
        write_statistics(stem, validation, plot_scores(validation, kinds, best_by))
    if by_class:
        stem = Path(f"{workspace}.train_stats.classes")
        write_statistics(stem, by_class, plot_classes(by_class, kinds[-1]))
