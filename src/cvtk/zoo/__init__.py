"""The catalogue of architectures: what `--model` accepts, read from the installed MMDetection."""

from __future__ import annotations

from cvtk.zoo.cache import cache_folder
from cvtk.zoo.elsewhere import Elsewhere, answer, elsewhere, nearest
from cvtk.zoo.find import TASK_WORDS, find, search
from cvtk.zoo.index import Entry, catalogue

__all__ = [
    "TASK_WORDS",
    "Elsewhere",
    "Entry",
    "answer",
    "cache_folder",
    "catalogue",
    "elsewhere",
    "find",
    "nearest",
    "search",
]
