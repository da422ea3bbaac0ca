"""Tables as text, for the console."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from cvtk.errors import printable


def table(
    rows: Iterable[Sequence[object]],
    header: Sequence[str] = (),
    *,
    right: Collection[int] = (),
) -> str:
    """Lays out rows in columns with two spaces between them.

    Args:
        rows: The cells; None is shown as "-".
        header: The names of the columns; no header line where left out.
        right: Indices of the columns that are aligned to the right, as numbers are.

    Returns:
        The lines, without spaces at their ends. Wide letters, such as Chinese ones, count twice; control
        characters are spelt out.
    """
    from tabulate import tabulate

    # The header is a row like any other here, so that it is aligned with its column.
    lines = [[_cell(value) for value in row] for row in rows]
    if header:
        lines.insert(0, [_cell(name) for name in header])
    if not lines:
        return ""
    sides = ["right" if i in right else "left" for i in range(len(lines[0]))]
    text = tabulate(lines, tablefmt="plain", disable_numparse=True, colalign=sides)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return printable(str(value)).replace("\n", "\\n")
