"""Keeps what was read from MMDetection's index in the user's cache folder, as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

from cvtk import __version__


def cache_folder() -> Path:
    """The folder for what cvtk may forget: `$XDG_CACHE_HOME/cvtk`, or the platform's own place.

    Raises:
        RuntimeError: The user has no home folder.
    """
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "cvtk"
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
            / "cvtk"
            / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cvtk"
    return Path.home() / ".cache" / "cvtk"


def key_of(root: Path) -> str:
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
    watched = [
        root / "model-index.yml",
        root / "configs",
        *Path(__file__).parent.glob("*.*"),
    ]
    changed = max(p.stat().st_mtime_ns for p in watched if p.exists())
    return f"cvtk {__version__} | mmdet {version} | {root} | {changed}"


def load(key: str) -> list[dict[str, Any]] | None:
    """What was saved under a key.

    Returns:
        The items, or None where there are none or the file is damaged.
    """
    try:
        content = json.loads(_file(key).read_text(encoding="utf-8"))
        items = content["items"] if content["key"] == key else None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None
    return items if isinstance(items, list) else None


def save(key: str, items: list[dict[str, Any]]) -> None:
    """Saves items under a key; a folder that cannot be written is no error, it only costs time."""
    with contextlib.suppress(OSError, RuntimeError):
        path = _file(key)
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"key": key, "items": items}), encoding="utf-8")
        beside.replace(path)


def _file(key: str) -> Path:
    # One file an installation, so that two environments do not take turns at overwriting it.
    return cache_folder() / f"zoo-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
