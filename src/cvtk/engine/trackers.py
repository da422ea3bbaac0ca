"""`--log`: losses and metrics also go to TensorBoard, Weights & Biases or MLflow, by MMEngine's own backends."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvtk.errors import InstallError, OptionError, one_line, stopped_by_user
from cvtk.options import TrainOptions


def add_tracker(cfg: dict[str, Any], options: TrainOptions) -> None:
    """Adds the tracker that the user chose to a configuration; its run is called as the weights are.

    Args:
        cfg: The configuration.
        options: The user's choices.

    Raises:
        InstallError: The tracker's package is not installed.
    """
    if options.log is None:
        return
    if not importlib.util.find_spec(options.log):
        raise InstallError(
            f"--log {options.log}: {options.log} is not installed.",
            f"Install it: pip install {options.log}",
        )
    backend = _BACKENDS[options.log](options.output.stem)
    cfg["visualizer"]["vis_backends"].append(backend)


def _tensorboard(name: str) -> dict[str, Any]:
    return {"type": "TensorboardVisBackend"}


def _wandb(name: str) -> dict[str, Any]:
    """The project and all else come from the variables that wandb reads itself: WANDB_PROJECT, WANDB_MODE, ..."""
    return {"type": "WandbVisBackend", "init_kwargs": {"name": name}}


def _mlflow(name: str) -> dict[str, Any]:
    """MLflow's own variables count; MMEngine would pass over them, and write to files, which MLflow 3 refuses."""
    own = f"sqlite:///{Path('mlflow.db').absolute()}"
    return {
        "type": "MLflowVisBackend",
        "run_name": name,
        "tracking_uri": os.environ.get("MLFLOW_TRACKING_URI") or own,
        "exp_name": os.environ.get("MLFLOW_EXPERIMENT_NAME"),
        # Parameters are what one compares runs by; the complete configuration is there as config.py.
        "tracked_config_keys": ["optim_wrapper", "train_cfg", "randomness"],
    }


_BACKENDS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}


@contextlib.contextmanager
def tracker_named(options: TrainOptions) -> Iterator[None]:
    """Names the tracker where it does not start: nobody is logged in, its server does not answer.

    Raises:
        OptionError: It does not start.
    """
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package != options.log or stopped_by_user(error):
            raise
        reason = one_line(error).rstrip(".")
        raise OptionError(
            f"--log {options.log} cannot start: {reason}.",
            "Mend that, or train without --log.",
        ) from error
