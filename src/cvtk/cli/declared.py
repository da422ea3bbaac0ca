"""The options of a command from their declarations, so that each is stated once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from cvtk.cli.data.common import FILE
from cvtk.declare import Checked, Declared, declarations

Command = TypeVar("Command", bound=Callable[..., Any])


def declared_options(
    options: type[Checked], spelled: Mapping[str, str] = {}
) -> Callable[[Command], Command]:
    """Gives a command the options that a dataclass declares, and what must be given as arguments.

    Underscores and hyphens are both taken, as in the scripts.

    Args:
        options: The dataclass.
        spelled: Another flag that is taken too, such as "-n", by the name of the option.
    """

    def decorate(command: Command) -> Command:
        for parameter in reversed(list(_parameters(options, spelled))):
            command = parameter(command)
        return command

    return decorate


def _parameters(
    options: type[Checked], spelled: Mapping[str, str]
) -> Iterator[Callable[[Any], Any]]:
    for declared in declarations(options):
        if declared.default is inspect.Parameter.empty:
            yield click.argument(declared.name, type=_type_of(declared))
            continue
        name = declared.name
        flags = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
        if name in spelled:
            flags[spelled[name]] = None
        unset = declared.option.unset if declared.default is None else ""
        yield click.option(
            *flags,
            name,
            type=_type_of(declared),
            is_flag=declared.base is bool,
            default=declared.default,
            show_default=unset or declared.base is not bool,
            help=_help_of(declared),
        )


def _help_of(declared: Declared) -> str:
    option = declared.option
    return f"{option.help}; {option.word_help}" if option.word else option.help


def _type_of(declared: Declared) -> Any:
    """What click reads a value as."""
    option = declared.option
    if option.word:  # a number or this word: the dataclass reads it
        return str
    if declared.base is Path:
        return FILE
    if declared.base is Literal:
        return click.Choice(typing.get_args(declared.type))
    if declared.base is bool:
        return None
    if declared.base is int:
        return click.IntRange(_whole(option.minimum), _whole(option.maximum))
    if declared.base is float:
        return click.FloatRange(option.minimum, option.maximum)
    return str


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)
