"""What several tests of the engine share: options, data and configurations on the demo data."""

from __future__ import annotations

import logging

import pytest

from cvtk.options import TrainOptions


@pytest.fixture
def caplog(caplog):
    """What cvtk says, also where `show_messages` has been called before."""
    logger = logging.getLogger("cvtk")
    caplog.set_level(logging.INFO, "cvtk")
    logger.addHandler(caplog.handler)
    propagates, logger.propagate = logger.propagate, False
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
            "output_weights": tmp_path / "out put" / "a.pth",
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
        **changes,
    ):
        options = chosen(**changes)
        spec = make_spec(model, demo.label, task, trust_weights=False)
        data = prepare_data(spec, options)
        return configure(spec, data, options, device, processes)

    return build
