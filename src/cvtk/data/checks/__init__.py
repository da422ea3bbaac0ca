"""Checks of data sets. Light: names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvtk.data.checks.checkup import Report, check
    from cvtk.data.checks.images import require_images
    from cvtk.data.checks.training import require_trainable

_NAMES = {
    "Report": "cvtk.data.checks.checkup",
    "check": "cvtk.data.checks.checkup",
    "require_images": "cvtk.data.checks.images",
    "require_trainable": "cvtk.data.checks.training",
}

__all__ = ["Report", "check", "require_images", "require_trainable"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'cvtk.data.checks' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value
