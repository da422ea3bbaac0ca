"""What cvtk says while it works: ordinary `logging`, shown as plain lines where nobody set it up."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TextIO

from cvtk.errors import printable

logger = logging.getLogger("cvtk")
_console: ContextVar[TextIO | None] = ContextVar("console", default=None)


def console() -> TextIO:
    """Where messages go: `sys.stdout`, or what it was when `keep_console` began."""
    return _console.get() or sys.stdout


@contextlib.contextmanager
def keep_console() -> Iterator[None]:
    """Messages go on to where they go now, while `sys.stdout` may be redirected."""
    token = _console.set(console())
    try:
        yield
    finally:
        _console.reset(token)


def for_console(text: str) -> str:
    """A text as the console can show it.

    Control characters are spelt out, and letters that its encoding lacks (`PYTHONIOENCODING=ascii`, old
    locales) become question marks, so that a class name never ends a program.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "replace").decode(encoding)


class _Plain(logging.Formatter):
    """The message alone; warnings and errors say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        text = for_console(record.getMessage())
        if record.levelno < logging.WARNING:
            return text
        return f"{record.levelname.capitalize()}: {text}"


class _Stdout(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what `console()` is at that moment, so that tests and notebooks can catch it."""

    def __init__(self) -> None:
        super().__init__(console())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = console()
        super().emit(record)


def show_messages() -> None:
    """Shows messages on the console, unless somebody has set up logging already.

    The command line, the scripts and a notebook's first `create_model` call this. Programs that
    configure `logging` themselves keep what they chose.
    """
    if logger.hasHandlers():
        return
    handler = _Stdout()
    handler.setFormatter(_Plain())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
