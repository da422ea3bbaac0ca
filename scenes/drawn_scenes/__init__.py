"""Weights that learned from drawn scenes alone; see the README of this package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent

WEIGHTS = {
    "rtmdet-ins_tiny_8xb32-300e_coco": _FOLDER / "rtmdet-ins_tiny.pth",
}
"""By the name of the architecture, as MMDetection has it, a file of weights in half precision."""
