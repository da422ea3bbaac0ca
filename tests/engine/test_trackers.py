"""Trackers: MMEngine's own backends, named after the weights; one sentence where one is missing or does not start."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.registry import VISBACKENDS
from mmengine.visualization import Visualizer

from cvtk.engine.trackers import add_tracker, tracker_named
from cvtk.errors import InstallError, OptionError


def backends(options):
    cfg = {"visualizer": {"vis_backends": []}}
    add_tracker(cfg, options)
    return cfg["visualizer"]["vis_backends"]


@pytest.fixture
def installed(monkeypatch):
    """As if every package were there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


@pytest.mark.parametrize("log", ["tensorboard", "wandb", "mlflow"])
def test_backends_are_those_of_mmengine_with_their_own_arguments(
    log, chosen, installed
):
    [backend] = backends(chosen(log=log))
    built = VISBACKENDS.build({**backend, "save_dir": "unused"})
    assert type(built).__module__ == "mmengine.visualization.vis_backend"


def test_runs_are_called_as_the_weights(chosen, installed):
    [wandb], [mlflow] = (backends(chosen(log=log)) for log in ("wandb", "mlflow"))
    assert wandb["init_kwargs"]["name"] == mlflow["run_name"] == "a.v2"


def test_the_server_of_mlflow_is_that_of_its_own_variable(
    chosen, installed, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    [backend] = backends(chosen(log="mlflow"))
    assert backend["tracking_uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    [backend] = backends(chosen(log="mlflow"))
    assert backend["tracking_uri"] == "http://localhost:5000"


def test_scripts_made_before_log_for_tensorboard(chosen):
    assert chosen(tensorboard=True).log == "tensorboard"
    with pytest.raises(OptionError, match="tensorboard or to wandb, not to both"):
        chosen(tensorboard=True, log="wandb")


def test_losses_reach_tensorboard(chosen, built, tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cfg = built(log="tensorboard")
    kinds = [backend.type for backend in cfg.visualizer.vis_backends]
    assert kinds == ["LocalVisBackend", "TensorboardVisBackend"]
    board = Visualizer(
        vis_backends=cfg.visualizer.vis_backends, save_dir=str(tmp_path / "board")
    )
    board.add_scalars({"loss": 0.5}, step=3)
    board.close()
    events = EventAccumulator(str(tmp_path / "board" / "vis_data"))
    events.Reload()
    [event] = events.Scalars("loss")
    assert (event.step, event.value) == (3, 0.5)


def test_a_package_that_is_missing(chosen, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InstallError, match=r"Install it: pip install wandb$"):
        backends(chosen(log="wandb"))


def test_a_tracker_that_does_not_start(chosen):
    kind = type("UsageError", (Exception,), {"__module__": "wandb.errors"})
    with (
        pytest.raises(
            OptionError, match=r"--log wandb cannot start: no API key\. Mend"
        ),
        tracker_named(chosen(log="wandb")),
    ):
        raise kind("no API key.")
    with pytest.raises(kind), tracker_named(chosen(log="mlflow")):
        raise kind("a mistake of ours")
