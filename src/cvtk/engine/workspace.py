"""The folder of a training: its mark, its lock, and the checkpoints to go on from.

Only files that a training wrote are ever removed, and only in a folder that bears our mark.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvtk.analysis.drawings import FILE as FIGURE
from cvtk.analysis.drawings import FOLDER as FIGURES
from cvtk.engine.weights import read_weights
from cvtk.errors import FileError, ModelError
from cvtk.io import is_file, require_free
from cvtk.log import logger
from cvtk.options import TrainOptions

MARK = ".cvtk-training"
LOCK = ".cvtk-lock"
# What a training writes into its workspace, beside the folders of its logs.
OWN_FILES = re.compile(
    r"epoch_\d+\.pth|best_.*_epoch_\d+\.pth|last_checkpoint|start\.weights"
    r"|used_(train|valid|test)\.json|used_truth\.json|test_outputs\.coco\.json"
    r"|report\.html|worst_cases\.coco\.json|(metrics|images|objects)\.csv"
    r"|.*\.part|\.(start|used_\w+)-\d+\.(weights|json)"  # half-written, then killed
    r"|\.cvtk-(training|lock)"
)
LOG_FOLDER = re.compile(r"\d{8}_\d{6}")


def own_files(workspace: Path) -> list[Path]:
    """The files and folders in a workspace that a training wrote."""
    found = []
    for path in sorted(workspace.iterdir()):
        is_log = path.is_dir() and LOG_FOLDER.fullmatch(path.name)
        is_copy = path.suffix == ".py" and is_configuration(path)  # by MMEngine
        is_figures = path.name == FIGURES and path.is_dir() and all_figures(path)
        if is_log or is_copy or is_figures or OWN_FILES.fullmatch(path.name):
            found.append(path)
    return found


def all_figures(folder: Path) -> bool:
    """Whether a folder holds nothing but figures of an evaluation."""
    return all(FIGURE.fullmatch(path.name) for path in folder.iterdir())


@contextmanager
def opened_workspace(options: TrainOptions) -> Iterator[Path]:
    """Opens the workspace of a training: nobody else trains into it meanwhile.

    An empty workspace is removed again where the training did not begin.

    Raises:
        FileError: The weights exist, another training was stopped there or is running, or the folder is
            somebody's own.
    """
    workspace = options.workspace
    require_own_names(options)
    try:
        workspace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{workspace} cannot be made a folder ({error.strerror}).",
            "Choose another name for the weights.",
        ) from None
    with _locked(workspace):
        require_unused(options)
        (workspace / MARK).write_text(
            "The logs and checkpoints of a training by cvtk.\n"
        )
        if not options.resume:
            remove_old(workspace)
        try:
            yield workspace
        finally:
            if not began(workspace):
                remove_old(workspace)


def require_own_names(options: TrainOptions) -> None:
    """Checks that what a training writes replaces nothing of the user's.

    Raises:
        FileError: It would.
    """
    force = options.force or options.resume
    name = options.output.with_suffix("")
    if not force and lacks_last_files(options):
        raise FileError(
            f"{options.output} exists, but its training was stopped before the last of its files were written.",
            "Again with resume=True, they are written; with force=True, it starts anew.",
        )
    require_free(options.output, force=force)
    configuration = options.output.with_suffix(".py")
    if configuration.exists() and not is_configuration(configuration):
        raise FileError(
            f"{configuration}, where the configuration is written, is another file of yours.",
            "Choose another name for the weights.",
        )
    for ending in (".py", ".test_stats.json", ".card.json", ".methods.md"):
        require_free(name.with_name(name.name + ending), force=force)
    for split in ("train", "valid", "classes"):
        for ending in ("txt", "png"):
            file = name.with_name(f"{name.name}.train_stats.{split}.{ending}")
            require_free(file, force=True)


def lacks_last_files(options: TrainOptions) -> bool:
    """Whether a training wrote its weights, but not its run card, which is written last."""
    card = options.output.with_suffix(".card.json")
    begun = (options.workspace / MARK).is_file() and checkpoints(options.workspace)
    return is_file(options.output) and bool(begun) and not is_file(card)


def is_configuration(file: Path) -> bool:
    """Whether a Python file is a configuration that a training wrote."""
    text = file.read_bytes()[: 2**20]
    keys = (
        rb"^work_dir ?=",
        rb"^train_dataloader ?=",
    )  # MMEngine may lay it out or not
    return all(re.search(key, text, re.MULTILINE) for key in keys)


def require_unused(options: TrainOptions) -> None:
    """Checks that a workspace is new, or is one that the user wants to use again.

    Raises:
        FileError: It is a folder of the user's, or holds a training that was stopped.
    """
    workspace = options.workspace
    own = [path for path in own_files(workspace) if path.name != LOCK]
    if own and not (workspace / MARK).exists():
        if options.resume and (workspace / "last_checkpoint").is_file():
            return  # made before there was a mark
        raise FileError(
            f"{workspace} is not a training's folder, but has {own[0].name}, which a training writes.",
            "Choose another name for the weights.",
        )
    epochs = checkpoints(workspace)
    if epochs and not (options.resume or options.force):
        raise FileError(
            f"{workspace} holds a training that was stopped after epoch {epoch_of(epochs[0])}.",
            "Again with resume=True, it goes on; with force=True, it starts anew.",
        )


def began(workspace: Path) -> bool:
    """Whether a training has made its first step there."""
    return any(path.is_dir() or path.suffix == ".pth" for path in own_files(workspace))


def remove_old(workspace: Path) -> None:
    """Removes what an older training left, so that a later one does not go on from it."""
    for path in own_files(workspace):
        if path.name in (MARK, LOCK):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    """Holds the lock of a workspace; the system gives it back when a process ends, however it ends."""
    from filelock import FileLock, Timeout

    file = workspace / LOCK
    lock = FileLock(file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise FileError(
            f"Another training is writing to {workspace}.",
            "Wait for it, end it, or choose another name for the weights.",
        ) from None
    except (OSError, NotImplementedError):  # a file system without locks
        yield
        return
    try:
        with contextlib.suppress(OSError):
            file.write_text(f"{os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()
        file.unlink(missing_ok=True)
        if [path.name for path in workspace.iterdir()] == [MARK]:
            shutil.rmtree(workspace)


def epoch_of(checkpoint: Path) -> int:
    """The epoch after which a checkpoint was written."""
    return int(checkpoint.stem.removeprefix("epoch_"))


def checkpoints(workspace: Path) -> list[Path]:
    """The checkpoints to go on from, the newest first."""
    files = [f for f in workspace.glob("epoch_*.pth") if OWN_FILES.fullmatch(f.name)]
    return sorted(files, key=epoch_of, reverse=True)


def newest_checkpoint(workspace: Path) -> Path:
    """The newest checkpoint that a training can go on from.

    A process that is killed as it writes leaves a part of one; that is passed over.

    Raises:
        ModelError: There is none that can be read.
    """
    for file in checkpoints(workspace):
        with contextlib.suppress(ModelError, FileError):
            if is_complete(read_weights(file)):
                return file
        logger.warning(f"{file} cannot be gone on from, and is passed over.")
    raise ModelError(
        f"There is no checkpoint in {workspace} that can be read.",
        "Start anew, without resume=True and with force=True.",
    )


def is_complete(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint holds all that a training needs to go on."""
    meta = checkpoint.get("meta")
    if not isinstance(meta, dict):
        return False
    counts = [meta.get("epoch"), meta.get("iter")]
    parts = [checkpoint.get(name) for name in ("optimizer", "message_hub")]
    return all(type(count) is int and count >= 0 for count in counts) and all(
        isinstance(part, dict) for part in parts
    )


def find_noted(workspace: Path, noted: Any) -> Path | None:
    """The file that a training noted as its best, but in this workspace; None where it is not there.

    Args:
        workspace: It may have been moved since.
        noted: A path, as a checkpoint holds it; it may be anything.
    """
    if not isinstance(noted, str):
        return None
    name = Path(noted).name
    is_own = name.endswith(".pth") and OWN_FILES.fullmatch(name)
    return workspace / name if is_own and is_file(workspace / name) else None


def best_checkpoint(workspace: Path, named: str | None) -> Path:
    """The checkpoint of the best epoch: the file that a training named, but in this workspace.

    Args:
        workspace: It may have been moved since.
        named: The path that the training noted; None without validation.

    Returns:
        The file; where it is gone or damaged, the one of the last epoch.
    """
    file = find_noted(workspace, named)
    if file is not None:
        with contextlib.suppress(ModelError, FileError):
            read_weights(file)
            return file
        logger.warning(f"{file} is damaged: the weights are those of the last epoch.")
    return newest_checkpoint(workspace)
