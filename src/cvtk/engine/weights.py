"""Reading weights and checkpoints: without running code that they carry, and whatever they hold.

MMEngine opens files of weights in several places, and falls back on running what they carry. While
`checked_loading` is open, it opens all of them by `load_file`.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import stat
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cvtk.errors import FileError, ModelError

ZIP_START = (
    b"PK\x03\x04"  # how PyTorch's files begin since 1.6; older ones are a bare pickle
)
LOCAL_HEADER = 30  # bytes of a zip entry before its name
# The one call that `weights_only` allows and that can fill the memory from a few bytes.
MEMORY_FILLER = b"\nbytearray\n"


class UntrustedError(ModelError):
    """A file that would run code as it is loaded."""


def safe_types() -> contextlib.AbstractContextManager[Any]:
    """Lets PyTorch's `weights_only` read MMEngine's own checkpoints.

    `weights_only` takes tensors and plain values. MMEngine's checkpoints also hold the
    history of the losses, so the types of that are allowed by name, and no others.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    def method(owner: Any, name: str) -> Any:  # all that their `getattr` is needed for
        if owner is not HistoryBuffer or name.startswith("_"):
            raise pickle.UnpicklingError(f"getattr of {name}")
        return getattr(owner, name)

    core = getattr(np, "_core", None) or np.core  # since NumPy 2, and before
    allowed = [HistoryBuffer, np.ndarray, np.dtype, (method, "builtins.getattr")]
    allowed += [core.multiarray._reconstruct, core.multiarray.scalar]
    allowed += [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "U1")]
    # PyTorch before 2.5 has no such list: it takes plain weights only
    guard: Any = getattr(torch.serialization, "safe_globals", contextlib.nullcontext)
    return guard(allowed)  # type: ignore[no-any-return]


def load_file(file: str | Path, trust: bool = False) -> Any:
    """Loads whatever a file of PyTorch holds, onto the CPU, without running code that it may carry.

    Args:
        file: The file.
        trust: Whether it may hold anything, and so run code as it is loaded.

    Raises:
        FileError: It is missing, or is no regular file.
        ModelError: It is damaged, or would run code; the message names what.
    """
    import torch

    with _opened(Path(file)) as stream:
        try:
            if not trust:
                _require_honest_size(stream)
            stream.seek(0)
            with safe_types(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's, on odd files
                return torch.load(stream, map_location="cpu", weights_only=not trust)
        except Exception as error:  # damaged pickles raise anything
            refused = re.search(r"GLOBAL (\S+)", str(error))
            if refused and not trust:
                raise UntrustedError(
                    f"{file} was not loaded: it would run {refused[1]}.",
                    "If you trust who made it: trust_weights=True.",
                ) from None
            raise ModelError(
                f"{file} was not loaded: it is damaged, or no file of weights.",
                "Copy or download it again, or name another.",
            ) from None


def read_weights(file: str | Path, trust: bool = False) -> dict[str, Any]:
    """Loads a checkpoint, or bare weights, without running code that it may carry.

    Args:
        file: The file.
        trust: Whether it may hold anything, and so run code as it is loaded.

    Returns:
        What the file holds; under `state_dict` the weights, names to tensors.

    Raises:
        FileError: It is missing, or is no regular file.
        ModelError: It is damaged, would run code, or holds no weights.
    """
    content = load_file(file, trust)
    state = _state_of(content)
    problem = _problem(state)
    if problem:
        raise ModelError(
            f"{file} holds no weights: {problem}.",
            "Name a file that a training wrote, or one from the catalogue.",
        )
    if state is content:
        return {"state_dict": state}
    return {**content, "state_dict": state}


@contextlib.contextmanager
def checked_loading(load: Callable[[str], Any]) -> Iterator[None]:
    """MMEngine opens every file of weights by `load` meanwhile: to resume, to start from, for backbones and teachers.

    Its own loaders unpickle anything where `weights_only` refuses a file.

    Args:
        load: Takes the file's name or address as a configuration or MMEngine gives it.
    """
    from mmengine.runner import CheckpointLoader

    def load_from_disk(name: str, map_location: Any) -> Any:
        return load(name)

    before = CheckpointLoader._schemes
    CheckpointLoader._schemes = {"": load_from_disk}  # by prefix: it is for all names
    try:
        yield
    finally:
        CheckpointLoader._schemes = before


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A regular file; a pipe would be waited for without end."""
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise FileError(f"{file} is {kind}, not a file of weights.", "Name a file.")
        stream = file.open("rb")
    except FileNotFoundError:
        raise FileError(
            f"There are no weights at {file}.", "Check the path, or train first."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{file} cannot be read ({reason}).", "Check the path and its permissions."
        ) from None
    with stream:
        yield stream


def _require_honest_size(stream: BinaryIO) -> None:
    """Checks that loading takes about the memory that the file takes on the disk.

    PyTorch neither compresses the entries of its zip files nor lets them share bytes.

    Raises:
        ValueError: It would take more.
    """
    stream.seek(0)
    if stream.read(len(ZIP_START)) != ZIP_START:
        stream.seek(0)
        if any(MEMORY_FILLER in part for part in _overlapping_parts(stream)):
            raise ValueError("it fills the memory")
        return
    with zipfile.ZipFile(stream) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        ends = [entry.header_offset for entry in entries[1:]] + [archive.start_dir]
        for entry, end in zip(entries, ends, strict=True):
            room = end - entry.header_offset - LOCAL_HEADER
            if max(entry.file_size, entry.compress_size) > room:
                raise ValueError(f"{entry.filename} is compressed, or not whole")
            is_pickle = entry.filename.endswith(".pkl")
            if is_pickle and MEMORY_FILLER in archive.read(entry):
                raise ValueError("it fills the memory")


def _overlapping_parts(stream: BinaryIO, size: int = 2**20) -> Iterator[bytes]:
    """A file in parts, each with the last bytes of the one before."""
    last = b""
    while part := stream.read(size):
        yield last + part
        last = part[-len(MEMORY_FILLER) :]


def _state_of(content: Any) -> Any:
    """The weights in what a file holds: MMEngine's `state_dict`, `model` as Swin and DETR have it, or all of it."""
    if isinstance(content, dict):
        for key in ("state_dict", "model"):
            if key in content:
                return content[key]
    return content


def _problem(state: Any) -> str:
    """Why something is no names with tensors; empty where it is."""
    import torch

    if not isinstance(state, dict):
        return f"there is a {type(state).__name__} in place of names with tensors"
    if not state:
        return "it is empty"
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            return f"{name!r:.60} is a {type(value).__name__}, not a tensor"
        if value.is_meta or value.is_quantized or value.layout != torch.strided:
            return f"{name!r:.60} is a tensor without plain numbers"
    if not isinstance(getattr(state, "_metadata", OrderedDict()), dict):
        return "its versions of layers are none"
    return ""
