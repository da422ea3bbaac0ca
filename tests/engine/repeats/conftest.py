"""What tests of several trainings share: a small detector, and 16 images, two of each plant."""

from __future__ import annotations

import pytest

from cvtk.data import read, write
from cvtk.demo import make_demo


@pytest.fixture(scope="session")
def spec(demo):
    """A small detector."""
    pytest.importorskip("mmdet", reason="needs MMDetection")
    from cvtk.engine.spec import make_spec

    return make_spec("rtmdet_tiny_8xb32-300e_coco", demo.label, "det", False)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """16 images, two of each plant."""
    folder = tmp_path_factory.mktemp("many")
    files = make_demo(folder, images=(16, 1, 1), size=(64, 64), seed=2)
    dataset = read(files.train)
    for number, image in enumerate(dataset.images):
        place = dataset.folder / image.file_name
        name = place.with_name(f"plant{number // 2}_{number % 2}.jpg")
        place.rename(name)
        image.file_name = str(name.relative_to(dataset.folder))
    write(dataset, files.train, force=True)
    return files
