"""The kinds of exported files, and what all of them can do."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.exported.description import Description

Kind: TypeAlias = Literal["onnx", "openvino", "torchscript"]
Arrays: TypeAlias = dict[str, NDArray[Any]]

# How the name of each kind ends.
SUFFIXES: dict[Kind, str] = {
    "onnx": ".onnx",
    "openvino": ".xml",  # its weights are in a file .bin beside it
    "torchscript": ".torchscript",
}


class ExportedFile(ABC):
    """An open file, ready to run.

    Attributes:
        description: What it says of itself.
    """

    description: Description

    @abstractmethod
    def run(self, picture: NDArray[np.uint8], score: float) -> Arrays:
        """What the network finds in a picture.

        Args:
            picture: (height, width, 3), as `Description.image` says.
            score: Lowest score of the objects, 0 to 1.

        Returns:
            `boxes` (N, 4) float32: left, top, right, bottom in pixels of the picture; `scores` (N,) float32;
            `labels` (N,) int64; from a segmenter `masks` (N, h, w) float32, as `Description.masks` says.
        """


def threads() -> int:
    """How many threads to compute in: the cores that this process may use, or fewer by `OMP_NUM_THREADS`.

    PyTorch does so by itself. Others start one for each core there is, which get in each other's way where a
    container or a batch system lets a process use fewer.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # on Linux
        cores = len(os.sched_getaffinity(0))
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wanted)) if wanted.isdigit() and int(wanted) else cores


def is_exported(file: Path) -> bool:
    """Whether a name is that of an exported file."""
    return file.suffix in SUFFIXES.values()
