"""Instance segmentation and object detection on your own images.

`import cvtk` is light: names are imported when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

if sys.platform == "darwin":
    # Operators that PyTorch lacks for Apple's GPU run on the CPU. It looks only when it is loaded.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__version__ = "0.2.0"

# public name -> module that defines it
_NAMES: dict[str, str] = {
    "CvtkError": "cvtk.errors",
    "Model": "cvtk.model",
    "Result": "cvtk.results",
    "compare": "cvtk.engine.compare",
    "create_model": "cvtk.model",
    "create_script": "cvtk.scripts.create",
    "measure_objects": "cvtk.measure.measure",
    "mask_rcnn": "cvtk.recipe.mask_rcnn",
    "save_config": "cvtk.recipe.mask_rcnn",
    "run": "cvtk.scripts.run",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'cvtk' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
