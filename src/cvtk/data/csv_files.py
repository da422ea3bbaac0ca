"""CSV files for R, pandas and spreadsheets: comma-separated, UTF-8, a dot in decimals."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from cvtk.io import atomic_write

Cell: TypeAlias = str | int | float
Row: TypeAlias = dict[str, Cell]

# Spreadsheets run a cell that begins so as a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(file: Path, rows: Iterable[Row], *, force: bool = False) -> None:
    """Writes rows that have the same columns; a number that is not defined is an empty cell.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    with (
        atomic_write(file, force=force) as part,
        part.open("w", encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        for number, row in enumerate(rows):
            if number == 0:
                writer.writerow(row)
            writer.writerow(harmless(cell) for cell in row.values())


def harmless(cell: Cell) -> Cell:
    """A cell as it is written."""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    if isinstance(cell, float):
        return "" if math.isnan(cell) else round(cell, 6)
    return cell
