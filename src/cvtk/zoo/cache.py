"""Keeps what was read from MMDetection's index in the user's cache folder, as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import platformdirs

from cvtk import __version__
from cvtk.errors import FileError
from cvtk.io import atomic_write, read_text


def cache_folder() -> Path:
    """The platform's own folder for what cvtk may forget, such as `~/.cache/cvtk`.

    Raises:
        FileError: The user has no home folder.
    """
    try:
        folder = platformdirs.user_cache_path("cvtk", appauthor=False)
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():  # older platformdirs leave a ~ that stands for nothing
        raise FileError("There is no home folder for the cache.", "Set HOME.")
    return folder


def cache_key(root: Path) -> str:
    """Names one state of one MMDetection, and the cvtk that reads it.

    Args:
        root: Folder that holds `model-index.yml` and `configs/`.
    """
    version = "?"
    for distribution in ("onedl-mmdetection", "mmdet"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(distribution)
            break
    # In source checkouts, of MMDetection or of cvtk, files change while the version stays.
    here = Path(__file__).parent
    own_files = [*here.glob("*.*"), *here.parent.glob("pose2seg/configs/*.*")]
    watched = [root / "model-index.yml", root / "configs", *own_files]
    changed = max(path.stat().st_mtime_ns for path in watched if path.exists())
    return f"cvtk {__version__} | mmdet {version} | {root} | {changed}"


def load(key: str) -> Any:
    """What was saved under a key, as JSON gives it; None where there is nothing, or the file is damaged."""
    try:
        content = json.loads(read_text(_file(key)))
    except (FileError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    return content.get("items")


def save(key: str, items: list[dict[str, Any]]) -> None:
    """Saves items under a key; a folder that cannot be written is no error, it only costs time."""
    with (
        contextlib.suppress(FileError),
        atomic_write(_file(key), force=True) as part,
    ):
        part.write_text(json.dumps({"key": key, "items": items}), encoding="utf-8")


def _file(key: str) -> Path:
    # One file per installation, so that two environments do not take turns at overwriting it.
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / f"zoo-{digest[:16]}.json"
