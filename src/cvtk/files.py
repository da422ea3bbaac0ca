"""Writing files so that a final name appears only when its content is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvtk.errors import FileError


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a name beside `path` to write to, and renames it when the block ends well.

    Args:
        path: The final name; its folder is made.
        force: Whether to replace a file that lies there.

    Yields:
        The name to write to, with the same suffix.

    Raises:
        FileError: The file exists, or cannot be written.
    """
    if path.exists() and not force:
        raise FileError(
            f"{path} exists already.",
            "Choose another name, or say force=True (--force).",
        )
    part = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error}).", "Check the folder and the disk."
        ) from error
