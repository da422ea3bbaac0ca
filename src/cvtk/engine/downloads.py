"""Weights from the network: fetched once, kept in PyTorch's own cache, and whole or not there.

The cache is `torch.hub`'s, since clusters already point it (TORCH_HOME) at a disk with room.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cvtk.engine.weights import UntrustedError, load_file
from cvtk.errors import ModelError, NetworkError, one_line
from cvtk.io import atomic_write, is_file
from cvtk.log import console, logger

TIMEOUT = 30.0  # seconds that a server may say nothing
PART = 2**20  # bytes
REMEDY = "Use --weights FILE, or --weights none to train from scratch."


def fetched(url: str, timeout: float = TIMEOUT) -> Path:
    """The file that lies at an address, downloaded where it is not in the cache or is damaged there.

    Args:
        url: Of weights. Where its name ends in the start of a SHA-256, as PyTorch's and MMDetection's do, the
            content is compared with it.
        timeout: Seconds that the server may say nothing.

    Raises:
        ModelError: It could not be downloaded whole.
        FileError: The cache cannot be written.
    """
    _require_web(url)
    file = cache_name(url)
    plain = file.with_name(_name(url))  # as other programs leave it
    if _digest(url) and is_file(plain) and _is_whole(plain, url):
        return plain
    if not (is_file(file) and _is_whole(file, url)):
        with atomic_write(file, force=True) as part:
            _download(url, part, timeout)
    return file


def cache_name(url: str) -> Path:
    """Where the file of an address lies in the cache: equal names of different addresses do not meet."""
    import torch

    name = Path(_name(url))
    address = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    folder = Path(torch.hub.get_dir(), "checkpoints")
    return folder / f"{name.stem[:100]}-{address[:16]}{name.suffix[:10]}"


def _require_web(url: str) -> None:
    """Raises ModelError unless an address is one of HTTP: urllib would also open files of this machine."""
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise ModelError(f"{url} is not an address of the web.", REMEDY)


def _name(url: str) -> str:
    """The file name in an address."""
    path = urllib.parse.urlsplit(url).path
    return Path(path).name or "weights"


def _digest(url: str) -> str:
    """The start of the SHA-256 that an address names; empty where it does not."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", _name(url))
    return found[1] if found else ""


def _is_whole(file: Path, url: str) -> bool:
    """Whether a file of the cache is what lay at the address: by its hash, or else by loading it."""
    digest = _digest(url)
    if digest:
        with contextlib.suppress(OSError):
            return _sha256(file).startswith(digest)
        return False
    try:
        load_file(file)
    except UntrustedError:  # whole; whoever uses it says so
        return True
    except ModelError:
        return False
    return True


def _sha256(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while part := stream.read(PART):
            found.update(part)
    return found.hexdigest()


def _download(url: str, file: Path, timeout: float) -> None:
    """Writes what lies at an address to a file.

    Raises:
        NetworkError: It is not there, not whole, or not what its name says.
    """
    logger.info(f"Downloads {url}")
    try:
        with (
            urllib.request.urlopen(url, timeout=timeout) as response,
            file.open("wb") as stream,
        ):
            expected = int(response.headers.get("Content-Length") or 0)
            received = _copy(response, stream, expected)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NetworkError(
            f"{url} was not downloaded ({one_line(error)}).", REMEDY
        ) from None
    if expected and received != expected:
        reason = f"it broke off after {received} of {expected} bytes"
        raise NetworkError(f"{url} was not downloaded ({reason}).", REMEDY)
    if not _sha256(file).startswith(_digest(url)):
        reason = "its content has another hash than its name says"
        raise NetworkError(f"{url} was not downloaded ({reason}).", REMEDY)


def _copy(response: Any, stream: BinaryIO, expected: int) -> int:
    """Copies what a server sends, shows the progress on a terminal, and returns the bytes received."""
    received = 0
    with _progress(expected) as progress:
        while part := response.read(PART):
            stream.write(part)
            received += len(part)
            progress(len(part))
    return received


@contextlib.contextmanager
def _progress(expected: int) -> Iterator[Any]:
    """Gives a function to call with the bytes that have come; it moves a bar, on a terminal only."""
    import click

    if not (expected and console().isatty()):
        yield lambda received: None
        return
    with click.progressbar(length=expected, file=console()) as bar:
        yield bar.update
