"""The options of the scripts as `add_argument` calls, and as named arguments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from cvtk.declare import Declared
from cvtk.options import COMMANDS, command_options

# An option is a line of a table, and all options must fit on the helper script's three screens.
WIDTH = {"helper": 120, "vanilla": 100}
INDENT = " " * 8
TYPES = {int: "int", float: "float"}


def literal(text: str) -> str:
    """Any text as a Python literal, in double quotes where that is as simple."""
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted else quoted


def argument_blocks(mode: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """All options, those together that the same commands have.

    Args:
        mode: "helper" or "vanilla".

    Returns:
        For each block the commands, and of each option the arguments of its `add_argument` call, which a
        template puts behind the name of a parser.
    """
    users: dict[tuple[str, str], list[str]] = {}
    found: dict[tuple[str, str], Declared] = {}
    for command in COMMANDS:
        for declared in command_options(command, mode):
            key = (declared.name, help_of(declared, mode))
            users.setdefault(key, []).append(command)
            found[key] = declared
    blocks: dict[tuple[str, ...], list[str]] = {}
    for key, commands in users.items():
        parser = commands[0] if len(commands) == 1 else "    command"
        call = argument_call(found[key], mode, parser)
        blocks.setdefault(tuple(commands), []).append(call)
    return list(blocks.items())


def argument_call(declared: Declared, mode: str, parser: str) -> str:
    """One option as the arguments of `add_argument`: on one line, or the help on a second one.

    Args:
        declared: The option.
        mode: "helper" or "vanilla".
        parser: The name before `.add_argument`, which takes room on the line.
    """
    flags = [f'"--{declared.name}"']
    if "_" in declared.name:
        flags.append(f'"--{declared.name.replace("_", "-")}"')
    arguments = [*flags, *_value_arguments(declared, mode)]
    help_text = literal(help_of(declared, mode))
    one_line = f"({', '.join(arguments)}, help={help_text})"
    if len(f"    {parser}.add_argument{one_line}") <= WIDTH[mode]:
        return one_line
    return f"({', '.join(arguments)},\n{INDENT}help={help_text})"


def _value_arguments(declared: Declared, mode: str) -> list[str]:
    """Type, default and the like, as `add_argument` takes them."""
    if declared.base is bool:
        return ['action="store_true"']
    if declared.base is Sequence:
        return ['action="append"', "default=[]"]
    found = []
    takes_word = declared.option.word and mode == "helper"
    if declared.base in TYPES and not takes_word:
        found.append(f"type={_number_type(declared, mode)}")
    if declared.base is Path and mode == "vanilla":
        found.append("type=Path")
    if declared.required:
        found.append("required=True")
    elif declared.default is not None:
        default = declared.default
        found.append(
            f"default={literal(default) if isinstance(default, str) else default}"
        )
    return found


def _number_type(declared: Declared, mode: str) -> str:
    """How a number is read: cvtk checks its range itself, the vanilla script as it reads it."""
    name, option = TYPES[declared.base], declared.option
    if mode == "helper":
        return name
    return f"within({name}, {option.minimum:g}, {option.maximum:.12g})"


def help_of(declared: Declared, mode: str) -> str:
    """The help of an option with its default, as argparse takes it."""
    option = declared.option
    text = option.help.replace("%", "%%")
    if option.word and mode == "helper":
        text += f"; {option.word_help}"
    has_default = not declared.required and declared.base not in (bool, Sequence)
    if has_default and declared.default is None:
        text += f" (default: {option.unset})"
    elif has_default:
        text += " (default: %(default)s)"
    return text


def named_arguments(names: Iterable[str], values: dict[str, str]) -> str:
    """Named arguments of a call in the helper script, as many on a line as fit.

    Args:
        names: Of the arguments.
        values: What is not `args.NAME`.
    """
    text = ", ".join(f"{name}={values.get(name, f'args.{name}')}" for name in names)
    lines = textwrap.wrap(
        text, WIDTH["helper"], initial_indent=INDENT, subsequent_indent=INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)
