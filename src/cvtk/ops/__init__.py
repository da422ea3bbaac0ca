"""The operators of `mmcv.ops` on torchvision and PyTorch, for an mmcv without compiled extension.

A start-up hook (`_cvtk_mmcv_ops`) offers `cvtk.ops.ext` to Python under the name `mmcv._ext` where no
compiled one exists. Nothing heavy is imported before that.
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

__all__ = ["mmcv_ext_spec", "provider"]

_EXT = Path(__file__).with_name("ext.py")


def mmcv_ext_spec() -> ModuleSpec | None:
    """The specification by which `cvtk/ops/ext.py` is imported as `mmcv._ext`."""
    return spec_from_file_location("mmcv._ext", _EXT)


def provider() -> str:
    """Who provides the operators behind `mmcv.ops` in this environment.

    Imports mmcv where it is installed, but neither torchvision nor any operator.

    Returns:
        `"mmcv"` for a compiled extension, `"cvtk"` for this package, `"none"` where `mmcv.ops` would not
        import: no mmcv, an mmcv without `ops` (mmcv-lite), or no start-up hook.
    """
    try:
        if find_spec("mmcv.ops") is None:
            return "none"
        spec = find_spec("mmcv._ext")
    except ImportError:
        return "none"
    if spec is None:
        return "none"
    return "cvtk" if spec.origin == str(_EXT) else "mmcv"
