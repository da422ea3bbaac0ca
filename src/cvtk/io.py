"""Files and masks: one reader, one atomic writer, one "exists" rule, one image finder, one RLE codec."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import FileError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
)

CocoRLE: TypeAlias = dict[str, Any]
"""A mask as COCO's compressed RLE: `{"size": [height, width], "counts": "..."}`."""


def read_bytes(file: str | Path) -> bytes:
    """The content of a regular file.

    Raises:
        FileError: It is missing, a folder, a pipe or device (which may never end), or may not be read.
    """
    try:
        mode = Path(file).stat().st_mode
        if stat.S_ISREG(mode):
            return Path(file).read_bytes()
    except FileNotFoundError:
        raise FileError(f"{file}: no such file.", "Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{file} cannot be read ({reason}).", "Check the path and its permissions."
        ) from None
    if stat.S_ISDIR(mode):
        raise FileError(
            f"{file} is a folder.",
            "Name the annotation file; a labelling tool's folder needs `cvtk data convert` first.",
        )
    raise FileError(f"{file} is a pipe or a device, not a file.", "Name a file.")


def read_text(file: str | Path) -> str:
    """The content of a UTF-8 file, with or without the mark that Windows editors put first.

    Raises:
        FileError: It cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{file} is not UTF-8 text ({error}).", "Save it as UTF-8."
        ) from None


def sha256_of(file: str | Path) -> str:
    """The SHA-256 of a file's content, as `sha256sum` prints it.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with Path(file).open("rb") as stream:
        while part := stream.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def is_file(path: Path) -> bool:
    """Whether there is such a regular file; names that no file can have count as none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the file system
        return False


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted; hidden ones (`.name`) are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and is_file(path)
    )


def templates_folder() -> Path:
    """The folder of the templates: in the wheel, or beside `src` in a checkout."""
    here = Path(__file__).parent
    places = (here / "templates", here.parents[1] / "templates")
    return next(place for place in places if place.is_dir())


def require_free(path: Path, *, force: bool = False) -> None:
    """The one "exists" rule: nothing is replaced unasked, and only regular files ever are.

    Args:
        path: What is about to be written.
        force: Whether a regular file of that name may be replaced.

    Raises:
        FileError: Something of that name is there and may not be replaced.
    """
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise FileError(f"{path} is a folder.", "Choose another name for the file.")
    if path.is_symlink() or not path.is_file():
        raise FileError(
            f"{path} is a link or a device, which is never replaced.",
            "Choose another name.",
        )
    if not force:
        raise FileError(
            f"{path} exists already.",
            "Choose another name, or use force=True to replace it.",
        )


@contextmanager
def atomic_write(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a name beside `path` to write to, and renames it when the block ends well.

    Args:
        path: The final name; its folder is made.
        force: Whether a regular file of that name may be replaced.

    Yields:
        The name to write to, with the same suffix.

    Raises:
        FileError: The file exists, or cannot be written.
    """
    require_free(path, force=force)
    part = path.with_name(f".{path.stem[:100]}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def require_free_folder(folder: Path, *, force: bool = False) -> None:
    """The same rule for a folder that is about to be filled.

    Raises:
        FileError: It is no folder, or is not empty and `force` was not said.
    """
    if folder.exists() and not folder.is_dir():
        require_free(folder)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise FileError(
            f"{folder} exists already and is not empty.",
            "Choose another name, or use force=True to replace its files.",
        )


@contextmanager
def atomic_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a folder beside `folder` to write to, and renames it when the block ends well.

    Args:
        folder: The final name.
        force: Whether files of a folder that exists may be replaced; others in it stay.

    Yields:
        The folder to write to.

    Raises:
        FileError: The folder is not empty and `force` was not said, or cannot be written.
    """
    require_free_folder(folder, force=force)
    part = folder.with_name(f".{folder.name[:100]}-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        try:
            yield part
            _move_into(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _move_into(part: Path, folder: Path) -> None:
    """Moves all files of a finished folder to their final names."""
    if not folder.exists():
        part.replace(folder)
        return
    files = [file for file in sorted(part.rglob("*")) if file.is_file()]
    for file in files:
        require_free(folder / file.relative_to(part), force=True)
    for file in files:
        target = folder / file.relative_to(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def _unwritable(path: Path, error: OSError) -> FileError:
    reason = error.strerror or error
    return FileError(
        f"{path} cannot be written ({reason}).",
        "Check the folder, its permissions and the space on the disk.",
    )


def encode_mask(mask: NDArray[Any]) -> CocoRLE:
    """Packs a mask (H, W), non-zero inside, into compressed RLE that JSON can hold.

    The form is COCO's own (https://github.com/cocodataset/cocoapi, `maskApi.c`). Only the part of the mask that
    holds something is gone through pixel by pixel.
    """
    mask = np.asarray(mask)
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return encode_part(mask[:0, :0], 0, 0, height, width)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    return encode_part(mask[top:bottom, left:right], left, top, height, width)


def encode_part(
    part: NDArray[Any], left: int, top: int, height: int, width: int
) -> CocoRLE:
    """Packs a mask of which only a part is given; outside of it the mask is empty.

    Args:
        part: (h, w), non-zero inside.
        left: The column of the mask at which the part begins.
        top: The row of the mask at which it begins.
        height: Of the mask.
        width: Of the mask.
    """
    from pycocotools import mask as api

    # Down each column, between two rows of zeros, values change where a run begins, and behind its end, in turn.
    rows = part.shape[0]
    columns = np.zeros((part.shape[1], rows + 2), bool)
    columns[:, 1:-1] = part.T
    changes = np.flatnonzero(columns[:, 1:] != columns[:, :-1])
    column, row = np.divmod(changes, rows + 1)
    places = (left + column) * height + top + row
    # A run that reaches the bottom goes on where the next column begins with one.
    ends = np.flatnonzero(places[1:-1:2] == places[2::2]) * 2 + 1
    places = np.delete(places, np.concatenate([ends, ends + 1]))
    counts = np.diff(places, prepend=0, append=height * width)
    if counts[-1] == 0:
        counts = counts[:-1]
    rle = api.frPyObjects(
        {"size": [height, width], "counts": counts.tolist()}, height, width
    )
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def decode_mask(rle: CocoRLE) -> NDArray[np.uint8]:
    """Unpacks compressed RLE into (H, W), 1 inside and 0 outside."""
    from pycocotools import mask as api

    return np.asarray(api.decode(rle), dtype=np.uint8)
