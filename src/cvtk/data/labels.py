"""The label file: one class name per line; the order of the lines is the order of the classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cvtk.errors import DataError
from cvtk.io import read_bytes


def read_labels(file: str | Path) -> list[str]:
    """The class names of a label file; empty lines do not count.

    Raises:
        FileError: It is missing.
        DataError: It is not UTF-8, is empty, or names a class twice.
    """
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error}).", "Save it as UTF-8."
        ) from None
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise DataError(f"{file} names no class.", "Write one class name per line.")
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(f"{file} names {twice[0]!r} twice.", "Name each class once.")
    return names
