"""What can go wrong by a user's hand. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable


class CvtkError(Exception):
    """Base of all errors that are meant for the user; the command line shows the message alone.

    Args:
        message: What is wrong, naming the file and the item.
        remedy: What to do about it, a full sentence; shown after the message. An option that is switched on is
            written as in Python, `force=True`.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = printable(message)
        self.remedy = printable(remedy)
        super().__init__(f"{self.message} {self.remedy}".strip())

    def on_command_line(self) -> str:
        """The text for users of commands and scripts, who write `--force` for `force=True`."""
        remedy = re.sub(r"\b([a-z_]+)=True\b", r"--\1", self.remedy)
        return f"{self.message} {remedy}".strip()


class FileError(CvtkError):
    """A file that is missing, unreadable, or in the way."""


class DataError(CvtkError):
    """Annotations or images that cannot be used as they are."""


class ModelError(CvtkError):
    """An unknown architecture, or weights that do not fit."""


class LossError(ModelError):
    """A training whose loss is not a number any more."""


class NetworkError(ModelError):
    """Weights that could not be downloaded."""


class OptionError(CvtkError):
    """An option, or a combination of options, that cannot be used."""


class InstallError(CvtkError):
    """A package that the task needs is not installed, or does not work."""


def stopped_by_user(error: BaseException | None) -> bool:
    """Whether an error came up only since a program is being stopped: PyTorch complains of ended workers."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def printable(text: str) -> str:
    """A text in which control characters, which could steer a terminal, are spelt out.

    Line breaks stay. Names of files and classes reach messages as they are found on the disk, so a name
    with an escape sequence in it must not reach the terminal as one.
    """
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cs")
        else repr(character)[1:-1]
        for character in text
    )


def one_line(error: BaseException) -> str:
    """What another library's error says, on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def did_you_mean(name: str, choices: Iterable[str], n: int = 3) -> str:
    """A sentence with the closest choices to a misspelt name.

    Args:
        name: What the user wrote.
        choices: What would have been right.
        n: The most choices to show.

    Returns:
        `"Did you mean 'a', 'b' or 'c'?"`, or `""` where nothing comes close.
    """
    close = difflib.get_close_matches(name, list(choices), n=n, cutoff=0.5)
    if not close:
        return ""
    quoted = [repr(c) for c in close]
    *head, last = quoted
    return f"Did you mean {', '.join(head) + ' or ' if head else ''}{last}?"
