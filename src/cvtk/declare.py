"""The machinery of options: what is declared of one, how a value is read, how signatures are made.

The declarations themselves are in `cvtk.options`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import operator
import os
import re
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    runtime_checkable,
)

from cvtk.errors import OptionError, did_you_mean


@runtime_checkable
class Pixels(Protocol):
    """An image in memory: a NumPy array (H, W, 3) in RGB, or a Pillow image."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """How NumPy reads it."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is declared of an option beside its name, type and default.

    Attributes:
        help: One line for `--help` and the docs, without the default.
        minimum: Smallest number that is taken; None: no limit.
        maximum: Largest number that is taken; None: no limit.
        word: A word that is taken in place of a number, by the helper script and the library.
        word_help: What the word does; follows `help` where the word is taken.
        pattern: What a text must match as a whole.
        expected: What to write, for the message about a value that is refused.
        unset: What None means, shown as the default.
        needed: Whether the scripts must be given it, although the library has a default.
        kind: "option": of scripts and library; "setting": a constant at the head of the helper script, and
            an argument in the library; "library": an argument in the library alone.
        in_vanilla: Whether the vanilla script has it too.
        vanilla_default: Its default there, where that is another one.
        pixels: Whether the library takes images in memory in place of a path.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    word: str = ""
    word_help: str = ""
    pattern: re.Pattern[str] | None = None
    expected: str = ""
    unset: str = ""
    needed: bool = False
    kind: Literal["option", "setting", "library"] = "option"
    in_vanilla: bool = True
    vanilla_default: Any = None
    pixels: bool = False


@dataclass(frozen=True)
class Checked:
    """Checks all values when an object is made, and tells all that is wrong at once."""

    def __post_init__(self) -> None:
        problems = []
        for declared in declarations(type(self)):
            value = getattr(self, declared.name)
            try:
                object.__setattr__(self, declared.name, declared.read(value))
            except OptionError as error:
                problems.append(str(error))
        problems += self.contradictions() if not problems else []
        if len(problems) > 1:
            problems.insert(0, f"{len(problems)} options cannot be used:")
        if problems:
            raise OptionError("\n".join(problems))

    def contradictions(self) -> list[str]:
        """Sentences on values that do not go together; empty where all do."""
        return []


@dataclass(frozen=True)
class Declared:
    """One option as it stands in a dataclass above.

    Attributes:
        name: As in Python; `--name` in the scripts.
        type: Without None.
        optional: Whether None is taken.
        default: `inspect.Parameter.empty` where it must be given.
        option: The rest.
    """

    name: str
    type: Any
    optional: bool
    default: Any
    option: Option

    def in_vanilla(self) -> Declared:
        """The same as the vanilla script has it."""
        default = self.option.vanilla_default
        return self if default is None else dataclasses.replace(self, default=default)

    @property
    def required(self) -> bool:
        """Whether a script must be given it."""
        return self.default is inspect.Parameter.empty or self.option.needed

    @property
    def base(self) -> Any:
        """The type by which a value is read: `Path`, a number, a text, `Sequence`, `Literal` or `Callable`."""
        kinds = [typing.get_origin(kind) or kind for kind in _members(self.type)]
        for kind in (Path, bool, int, float, Sequence, Literal, str, Callable):
            if kind in kinds:
                return kind
        raise TypeError(f"{self.name}: no values are read as {self.type}")

    @property
    def expected(self) -> str:
        """What to write, in words."""
        option = self.option
        if option.expected:
            return option.expected
        if self.base is Literal:
            return " or ".join(map(repr, typing.get_args(self.type)))
        if self.base is bool:
            return "True or False"
        if self.base is Callable:
            return "a function"
        if self.base is Path:
            return "a path"
        number = "a number" if self.base is float else "a whole number"
        if self.base is Sequence:
            number = "whole numbers"
        text = f"{number} from {option.minimum:g} to {option.maximum:.12g}"
        return f"{text}, or {option.word}" if option.word else text

    def read(self, value: Any) -> Any:
        """A value as its type says.

        Raises:
            OptionError: It is of another type, or out of range.
        """
        if value is None and self.optional:
            return None
        try:
            return self._converted(value)
        except (TypeError, ValueError, OverflowError):
            shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:77]}..."
            name = self.name if self.option.kind != "option" else f"--{self.name}"
            raise OptionError(
                f"{name} cannot be {shown}.", f"Use {self.expected}."
            ) from None

    def _converted(self, value: Any) -> Any:
        base, option = self.base, self.option
        if base is Sequence:
            return self._items(value)
        if base is Path:
            return self._path(value)
        if option.word and value == option.word:
            return value
        if base is Literal:
            return _require(value, value in typing.get_args(self.type))
        if base is bool:
            return _require(value, isinstance(value, bool))
        if base is Callable:
            return _require(value, callable(value))
        if base is str:
            return self._text(value)
        return self._number(value, int if base is int else float)

    def _items(self, value: Any) -> list[Any]:
        _require(value, isinstance(value, Sequence) and not isinstance(value, str))
        if self.option.minimum is None:
            return [self._text(item) for item in value]
        return [self._number(item, int) for item in value]

    def _path(self, value: Any) -> Any:
        if self.option.pixels and isinstance(value, Pixels):
            return value
        several = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        if several and len(_members(self.type)) > 2:
            return [self._path(item) for item in value]
        text = os.fspath(value)
        _require(value, isinstance(text, str) and text.strip() and "\0" not in text)
        return Path(text)

    def _text(self, value: Any) -> str:
        pattern = self.option.pattern
        _require(value, isinstance(value, str))
        _require(value, pattern is None or pattern.fullmatch(value))
        return str(value)

    def _number(self, value: Any, kind: type[int] | type[float]) -> int | float:
        _require(value, not isinstance(value, bool))
        if kind is float or isinstance(value, str):
            number = kind(value)
        else:
            number = operator.index(value)
        minimum, maximum = self.option.minimum, self.option.maximum
        _require(value, math.isfinite(number))
        _require(value, minimum is None or number >= minimum)
        _require(value, maximum is None or number <= maximum)
        return number  # type: ignore[no-any-return]


def _members(kind: Any) -> tuple[Any, ...]:
    """The types of a union; the type itself where it is none."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _require(value: Any, holds: object) -> Any:
    if not holds:
        raise ValueError
    return value


def declarations(options: type[Any]) -> tuple[Declared, ...]:
    """The options that a dataclass declares: its own first, then those that others share."""
    hints = typing.get_type_hints(options, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(options)}
    shared = [name for base in options.__mro__ for name in _shared_names(base)]
    order = sorted(fields, key=shared.__contains__)
    return tuple(_declared(fields[name], hints[name]) for name in order)


def _shared_names(base: type[Any]) -> list[str]:
    """The fields of a class that only lends them to others: its name starts with an underscore."""
    return (
        list(vars(base).get("__annotations__", {})) if base.__name__[0] == "_" else []
    )


def _declared(field: dataclasses.Field[Any], hint: Any) -> Declared:
    kind, option = typing.get_args(hint)
    members = [member for member in _members(kind) if member is not types.NoneType]
    default = field.default
    if default is dataclasses.MISSING:
        default = inspect.Parameter.empty
    return Declared(
        name=field.name,
        type=functools.reduce(operator.or_, members),
        optional=len(members) < len(_members(kind)),
        default=default,
        option=option,
    )


P = ParamSpec("P")
Self_ = TypeVar("Self_")
Options_ = TypeVar("Options_")
Returned = TypeVar("Returned")


def takes(
    options: Callable[P, Options_],
) -> Callable[
    [Callable[[Self_, Options_], Returned]],
    Callable[Concatenate[Self_, P], Returned],
]:
    """Lets a method that works with an options object be called with its fields as arguments.

    Editors and type checkers see the arguments of the dataclass, and so does `help()`, with their meaning:

        @takes(TrainOptions)
        def train(self, options: TrainOptions) -> None: ...

        model.train("train.json", output_weights="out.pth", epoch=3)
    """

    def decorate(
        method: Callable[[Self_, Options_], Returned],
    ) -> Callable[Concatenate[Self_, P], Returned]:
        names = [d.name for d in declarations(options)]  # type: ignore[arg-type]

        @functools.wraps(method)
        def call(self: Self_, /, *args: P.args, **kwargs: P.kwargs) -> Returned:
            for name in kwargs.keys() - set(names):
                raise TypeError(
                    f"{method.__name__}() has no argument {name!r}. {did_you_mean(name, names)}"
                )
            return method(self, options(*args, **kwargs))

        call.__signature__ = _signature(method, options)  # type: ignore[attr-defined]
        call.__doc__ = _documented(method.__doc__, options)  # type: ignore[arg-type]
        return call

    return decorate


def _signature(method: Callable[..., Any], options: Any) -> inspect.Signature:
    own = inspect.signature(method)
    arguments = inspect.signature(options).parameters.values()
    plain = []
    hints = typing.get_type_hints(options)
    for argument in arguments:
        plain.append(argument.replace(annotation=hints[argument.name]))
    first = next(iter(own.parameters.values()))
    return own.replace(parameters=[first, *plain])


def _documented(text: str | None, options: type[Any]) -> str | None:
    """A docstring with its section `Args`, after the first paragraph."""
    if text is None:  # python -OO
        return None
    head, gap, rest = inspect.cleandoc(text).partition("\n\n")
    lines = []
    for declared in declarations(options):
        unset = declared.option.unset
        end = f"; None: {unset}." if declared.optional and unset else "."
        word = f"; {declared.option.word_help}" if declared.option.word else ""
        lines.append(f"    {declared.name}: {declared.option.help}{word}{end}")
    return "\n".join([head, "", "Args:", *lines]) + gap + rest
