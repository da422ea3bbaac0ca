"""The demo: a made-up data set of fruit (`make_demo`), and the main job run on it (`run_demo`)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvtk.demo.dataset import DemoFiles, make_demo
    from cvtk.demo.run import run_demo

__all__ = ["DemoFiles", "make_demo", "run_demo"]

# public name -> module that defines it, imported when the name is first used
_MODULES = {
    "DemoFiles": "cvtk.demo.dataset",
    "make_demo": "cvtk.demo.dataset",
    "run_demo": "cvtk.demo.run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cvtk.demo' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
