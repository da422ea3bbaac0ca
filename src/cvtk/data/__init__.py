"""Data sets: reading, checking, converting and splitting them. Light: names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvtk.data.coco import read, write
    from cvtk.data.model import RLE, Annotation, Category, Dataset, Image
    from cvtk.data.require import require_images

_NAMES = {
    "RLE": "cvtk.data.model",
    "Annotation": "cvtk.data.model",
    "Category": "cvtk.data.model",
    "Dataset": "cvtk.data.model",
    "Image": "cvtk.data.model",
    "read": "cvtk.data.coco",
    "require_images": "cvtk.data.require",
    "write": "cvtk.data.coco",
}

__all__ = [
    "RLE",
    "Annotation",
    "Category",
    "Dataset",
    "Image",
    "read",
    "require_images",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'cvtk.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value
