"""The catalogue of architectures: what `--model` accepts, read from the installed MMDetection."""

from __future__ import annotations

from cvtk.zoo.cache import cache_folder
from cvtk.zoo.find import TASK_WORDS, find, search
from cvtk.zoo.index import Entry, catalogue
from cvtk.zoo.paddle import PaddleModel, equivalents, paddle_model

__all__ = [
    "TASK_WORDS",
    "Entry",
    "PaddleModel",
    "cache_folder",
    "catalogue",
    "equivalents",
    "find",
    "paddle_model",
    "search",
]
