"""What several tests share: one small made-up data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvtk.demo import DemoFiles, make_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """4, 3 and 3 images of 128 x 96 pixels; read only. Of each split the first has a crowd, the last is empty."""
    folder: Path = tmp_path_factory.mktemp("demo data")
    return make_demo(folder, images=(4, 3, 3), size=(128, 96), seed=1)
