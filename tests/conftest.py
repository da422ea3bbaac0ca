"""What several tests share: one small made-up data set, and how training code runs here."""

from __future__ import annotations

import os
from pathlib import Path

# Before PyTorch is imported: several processes run tests side by side, each on one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest

from cvtk.demo import DemoFiles, make_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """4, 3 and 3 images of 128 x 96 pixels; read only. Of each split the first has a crowd, the last is empty."""
    folder: Path = tmp_path_factory.mktemp("demo data")
    return make_demo(folder, images=(4, 3, 3), size=(128, 96), seed=1)
