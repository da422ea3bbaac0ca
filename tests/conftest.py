"""What several tests share: one small made-up data set, and how training code runs here."""

from __future__ import annotations

import logging
import os
from pathlib import Path

# Before PyTorch is imported: several processes run tests side by side, each on one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest

from cvtk.demo import DemoFiles, make_demo
from cvtk.options import TrainOptions


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """4, 3 and 3 images of 128 x 96 pixels; read only. Of each split the first has a crowd, the last is empty."""
    folder: Path = tmp_path_factory.mktemp("demo data")
    return make_demo(folder, images=(4, 3, 3), size=(128, 96), seed=1)


@pytest.fixture
def messages(caplog):
    """What cvtk says, also where `show_messages` was called before; `messages.text` is all of it."""
    logger = logging.getLogger("cvtk")
    propagates, logger.propagate = logger.propagate, False
    caplog.set_level(logging.INFO, "cvtk")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.propagate = propagates


@pytest.fixture
def chosen(demo, tmp_path):
    """Options of a small training on the demo data."""

    def choose(**changes):
        few = {
            "train": demo.train,
            "valid": demo.valid,
            "output_weights": tmp_path / "out put" / "a.v2.pth",
            "epoch": 2,
            "batch_size": 2,
            "num_workers": 0,
            "image_size": 96,
            "weights": "none",
            "seed": 3,
            "device": "cpu",
        }
        return TrainOptions(**{**few, **changes})

    return choose


@pytest.fixture
def built(demo, chosen):
    """Builds the configuration of a training on the demo data."""
    from cvtk.engine.configure import configure
    from cvtk.engine.spec import make_spec
    from cvtk.engine.training_data import prepare_data

    def build(
        model="rtmdet-ins_tiny_8xb32-300e_coco",
        task="segm",
        device="cpu",
        processes=1,
        labels=demo.label,
        **changes,
    ):
        options = chosen(**changes)
        spec = make_spec(model, labels, task, trust_weights=False)
        data = prepare_data(spec, options)
        return configure(spec, data, options, device, processes)

    return build
