"""Data sets: reading, checking, converting and splitting them. Light: names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvtk.data.checks.images import require_images
    from cvtk.data.coco import read, write
    from cvtk.data.types import RLE, Annotation, Category, Dataset, Image
    from cvtk.data.versions import diff

_NAMES = {
    "RLE": "cvtk.data.types",
    "Annotation": "cvtk.data.types",
    "Category": "cvtk.data.types",
    "Dataset": "cvtk.data.types",
    "Image": "cvtk.data.types",
    "diff": "cvtk.data.versions",
    "read": "cvtk.data.coco",
    "require_images": "cvtk.data.checks.images",
    "write": "cvtk.data.coco",
}

__all__ = [
    "RLE",
    "Annotation",
    "Category",
    "Dataset",
    "Image",
    "diff",
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
