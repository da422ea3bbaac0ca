"""The option tables of the pages, made from the declarations in `cvtk.options`.

    python docs/tables.py           writes them anew
    python docs/tables.py --check   exits with 1 where a page differs, and names the page and the option

A table stands between two comments: `<!-- options: train -->`, or another name of TABLES, and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from cvtk.declare import Checked, Declared, declarations
from cvtk.exported.options import ExportOptions
from cvtk.options import command_options, settings
from cvtk.serve.options import ServeOptions

FOLDER = Path(__file__).parent
MARKED = re.compile(
    r"(?P<start><!-- options: (?P<name>\w+) -->\n)(?P<table>.*?)(?P<end><!-- end -->)",
    re.DOTALL,
)


def command_table(command: str) -> list[str]:
    """The rows of what a command of the scripts takes, with their heading."""
    rows = [
        "| option | if left out | range | meaning | `--vanilla` |",
        "|---|---|---|---|---|",
    ]
    for declared in command_options(command):
        cells = [
            f"`--{declared.name}`",
            default_of(declared),
            range_of(declared),
            meaning_of(declared),
            in_vanilla(declared),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def settings_table() -> list[str]:
    """The rows of the settings at the head of the helper script, with their heading."""
    rows = [
        "| setting | argument | if left out | range | meaning |",
        "|---|---|---|---|---|",
    ]
    for declared in settings():
        cells = [
            f"`{declared.name.upper()}`",
            f"`{declared.name}`",
            default_of(declared),
            range_of(declared),
            meaning_of(declared),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def plain_table(options: type[Checked]) -> list[str]:
    """The rows of what a command of cvtk takes besides its arguments, with their heading."""
    rows = ["| option | if left out | range | meaning |", "|---|---|---|---|"]
    for declared in declarations(options):
        if not declared.required:
            cells = [
                f"`--{declared.name}`",
                default_of(declared),
                range_of(declared),
                meaning_of(declared),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


TABLES: dict[str, Callable[[], list[str]]] = {
    "train": lambda: command_table("train"),
    "evaluate": lambda: command_table("evaluate"),
    "inference": lambda: command_table("inference"),
    "settings": settings_table,
    "export": lambda: plain_table(ExportOptions),
    "serve": lambda: plain_table(ServeOptions),
}


def default_of(declared: Declared) -> str:
    """What holds where an option is left out."""
    if declared.required:
        return "must be given"
    if declared.base is bool:
        return "off"
    if declared.base is Sequence and not declared.default:
        return declared.option.unset or "none"
    if declared.default is None:
        return declared.option.unset
    return f"`{declared.default}`"


def range_of(declared: Declared) -> str:
    """The numbers or words that are taken; empty where the meaning says it, as of paths and texts."""
    option = declared.option
    if declared.base is Literal:
        return declared.expected.replace("'", "`")
    if option.minimum is None:
        return ""
    text = f"{_number(option.minimum)} to {_number(option.maximum)}"
    if declared.base is Sequence:
        text = f"list of {text}"
    return f"{text}, or `{option.word}`" if option.word else text


def meaning_of(declared: Declared) -> str:
    """What an option does, with what its word does."""
    option = declared.option
    text = f"{option.help}; {option.word_help}" if option.word else option.help
    return text.replace("|", "\\|")


def in_vanilla(declared: Declared) -> str:
    """Whether the script that does without cvtk has an option; it takes no words for numbers."""
    option = declared.option
    if not option.in_vanilla:
        return "no"
    return f"yes, without `{option.word}`" if option.word else "yes"


def _number(value: float | None) -> str:
    """A limit, large whole numbers with commas."""
    if value is None:
        return "any"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def with_tables(page: str) -> str:
    """A page with its tables as they should be."""

    def fresh(match: re.Match[str]) -> str:
        table = "\n".join(TABLES[match["name"]]())
        return f"{match['start']}{table}\n{match['end']}"

    return MARKED.sub(fresh, page)


def differences(page: str) -> Iterator[str]:
    """The rows of a page's tables that are not as they should be, as "--epoch (table train)"."""
    for match in MARKED.finditer(page):
        there = _by_name(match["table"].splitlines())
        wanted = _by_name(TABLES[match["name"]]())
        odd = [name for name in wanted | there if there.get(name) != wanted.get(name)]
        if not odd and list(there) != list(wanted):
            odd = ["the order of the rows"]
        for name in odd:
            yield f"{name} (table {match['name']})"


def _by_name(rows: Sequence[str]) -> dict[str, str]:
    """The rows of a table by what stands in their first cell."""
    return {row.strip("| ").partition(" |")[0].strip("`"): row for row in rows}


def main() -> None:
    """Writes or checks the tables of all pages beside this file."""
    parser = argparse.ArgumentParser(description="The option tables of the pages.")
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    problems = []
    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if check:
            problems += [f"docs/{page.name}: {name}" for name in differences(text)]
        elif (new := with_tables(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"docs/{page.name}")
    if problems:
        sys.exit("\n".join([*problems, "Write them anew: python docs/tables.py"]))


if __name__ == "__main__":
    main()
