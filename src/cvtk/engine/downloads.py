"""Weights from the network: fetched once, kept in PyTorch's own cache, and whole or not there.

The cache is `torch.hub`'s, since clusters already point it (TORCH_HOME) at a disk with room.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import queue
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from cvtk.engine.progress import Bar, Standing
from cvtk.engine.weights import UntrustedError, load_file
from cvtk.errors import ModelError, NetworkError, one_line
from cvtk.io import atomic_write, is_file
from cvtk.log import logger

TIMEOUT = 30.0  # seconds that a server may say nothing
WINDOW = 60.0  # seconds in which it must send at least `LEAST`
LEAST = (
    2**16
)  # bytes: a kibibyte per second, which would take a day for the smallest weights
PART = 2**20  # bytes
PATIENCE = 600.0  # seconds that a full disk or a suspended program may keep what has arrived waiting
REMEDY = "Use --weights FILE, --weights scenes for RTMDet-Ins tiny, or --weights none to train from scratch."

Arrived: TypeAlias = "queue.Queue[int | bytes | Exception]"
"""What a server sends: how many bytes it announces (0: it does not say), parts, and an empty one or an error."""


def fetched(url: str, timeout: float = TIMEOUT, window: float = WINDOW) -> Path:
    """The file that lies at an address, downloaded where it is not in the cache or is damaged there.

    Args:
        url: Of weights. Where its name ends in the start of a SHA-256, as PyTorch's and MMDetection's do, the
            content is compared with it.
        timeout: Seconds that the server may say nothing.
        window: Seconds in which it must send at least 64 KiB.

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
            _download(url, part, timeout, window)
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


def _download(url: str, file: Path, timeout: float, window: float) -> None:
    """Writes what lies at an address to a file.

    Raises:
        NetworkError: It is not there, not whole, or not what its name says.
    """
    logger.info(f"Downloads {url}")
    arrived: Arrived = queue.Queue(maxsize=16)
    # In a thread, since one byte now and then keeps any call of http.client waiting, even for the headers.
    arguments = (url, timeout, arrived)
    threading.Thread(target=_receive, args=arguments, daemon=True).start()
    try:
        expected, received = _write(_in_time(arrived, window), file)
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


def _receive(url: str, timeout: float, arrived: Arrived) -> None:
    """Puts what a server sends into a queue."""
    with contextlib.suppress(queue.Full):  # nobody waits for it any more
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                expected = int(response.headers.get("Content-Length") or 0)
                arrived.put(expected, timeout=PATIENCE)
                while part := response.read1(PART):
                    arrived.put(part, timeout=PATIENCE)
            arrived.put(b"", timeout=PATIENCE)
        except queue.Full:
            raise
        except Exception as error:  # whatever it is, whoever waits is told
            arrived.put(error, timeout=PATIENCE)


def _in_time(arrived: Arrived, window: float) -> Iterator[int | bytes]:
    """What a server sends, as it comes.

    Raises:
        TimeoutError: In some `window` seconds, less than `LEAST` came.
        Exception: What the server answered, or did not.
    """
    end, received = time.monotonic() + window, 0
    while True:
        left = end - time.monotonic()
        part: int | bytes | Exception | None = None
        with contextlib.suppress(queue.Empty):
            part = arrived.get(timeout=max(left, 0))
        if isinstance(part, Exception):
            raise part
        if part == b"":
            return
        if part is not None:
            yield part
        if isinstance(part, bytes):
            received += len(part)
        if time.monotonic() >= end:
            if received < LEAST:
                raise TimeoutError(f"too slow: {received} bytes in {window:g} seconds")
            end, received = time.monotonic() + window, 0


def _write(parts: Iterator[int | bytes], file: Path) -> tuple[int, int]:
    """Writes what comes to a file, and shows the progress; the bytes announced and received."""
    expected, received, bar = int(next(parts, 0)), 0, Bar()
    with file.open("wb") as stream:
        for part in parts:
            content = part if isinstance(part, bytes) else b""
            stream.write(content)
            received += len(content)
            megabytes = f"{received / 1e6:.1f}/{expected / 1e6:.1f} MB"
            bar.show(Standing(received, expected, count=megabytes))
    bar.clear()
    return expected, received
