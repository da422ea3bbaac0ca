"""One task of the platform: env.yaml and config.yaml, read and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cvtk.errors import CvtkError, OptionError
from cvtk.io import is_file, read_text
from cvtk.ymir.failures import Code, Failure
from cvtk.ymir.monitor import Monitor
from cvtk.ymir.settings import is_true, read_settings

ENV_VARIABLE = "DEFAULT_ENV_FILE_PATH"
ENV_FILE = "/in/env.yaml"
# Where things are below `input.root_dir` and `output.root_dir`, unless env.yaml says otherwise.
INPUT = {
    "assets_dir": "assets",
    "annotations_dir": "annotations",
    "models_dir": "models",
    "training_index_file": "train-index.tsv",
    "val_index_file": "val-index.tsv",
    "candidate_index_file": "candidate-index.tsv",
    "config_file": "config.yaml",
}
OUTPUT = {
    "models_dir": "models",
    "tensorboard_dir": "tensorboard",
    "training_result_file": "models/result.yaml",
    "mining_result_file": "result.tsv",
    "infer_result_file": "infer-result.json",
    "monitor_file": "monitor.txt",
}
# A name that nobody else gives to a folder, for it is removed.
WORK = "cvtk-executor-work"
JOBS = {"run_training": "training", "run_mining": "mining", "run_infer": "infer"}


@dataclass(frozen=True)
class Environment:
    """What env.yaml says.

    Attributes:
        task_id: The task.
        version: Of the protocol, as numbers: (1, 0, 0).
        jobs: What to do, in this order: "training", or "mining", "infer" or both.
        input: Places to read from, by the names in env.yaml.
        output: Places to write to, by the names in env.yaml; `work_dir` is a folder of our own among them.
    """

    task_id: str
    version: tuple[int, ...]
    jobs: list[str]
    input: dict[str, Path]
    output: dict[str, Path]

    @property
    def monitor(self) -> Monitor:
        """What shows how far the task is."""
        return Monitor(self.output["monitor_file"], self.task_id)

    @property
    def has_stages(self) -> bool:
        """Whether a training leaves several stages (since protocol 1.0.0), not one flat result."""
        return self.version >= (1, 0, 0)


@dataclass(frozen=True)
class Task:
    """One job of a task, for the program that does it.

    Attributes:
        job: "training", "mining" or "infer".
        environment: What env.yaml says.
        settings: The values of the platform's form, by name.
        class_names: The classes, in the platform's order.
        gpus: Numbers of the GPUs to use; empty: the CPU.
        weights: The weights to start from or to predict with; None for a training that has none.
    """

    job: str
    environment: Environment
    settings: dict[str, Any]
    class_names: list[str]
    gpus: list[str]
    weights: Path | None

    @property
    def work(self) -> Path:
        """A folder for what only we need."""
        return self.environment.output["work_dir"]

    @property
    def train(self) -> Path:
        """The COCO file of the training set."""
        return self.work / "train.json"

    @property
    def valid(self) -> Path:
        """The COCO file of the validation set."""
        return self.work / "valid.json"

    @property
    def output_weights(self) -> Path:
        """Where a training leaves its weights, before they become a stage."""
        return self.work / "model.pth"

    @property
    def images(self) -> list[str]:
        """The images to mine or to infer, as the index names them."""
        return (self.work / "images.txt").read_text("utf-8").splitlines()

    @property
    def device(self) -> str:
        """Where the network runs. Only the GPUs of the task are visible, so that the first has the number 0."""
        return "cuda:0" if self.gpus else "cpu"

    def show(self, progress: float) -> None:
        """Shows how far this job is (0 to 1); of mining and inference together, each is one half."""
        jobs = self.environment.jobs
        done = (jobs.index(self.job) + progress) / len(jobs)
        self.environment.monitor.show(done)


def read_environment() -> Environment:
    """Reads env.yaml.

    Raises:
        Failure: It is missing, or no YAML.
    """
    file = Path(os.environ.get(ENV_VARIABLE) or ENV_FILE)
    content = _read_yaml(file)
    places = {}
    for part, names, root in (("input", INPUT, "/in"), ("output", OUTPUT, "/out")):
        given = content.get(part) or {}
        if not isinstance(given, dict):
            raise Failure(Code.CONFIGURATION, f"{file}: {part} holds no names.")
        folder = _absolute(given.get("root_dir") or root)
        usual = {name: folder / place for name, place in names.items()}
        stated = {name: _absolute(given[name]) for name in names if given.get(name)}
        places[part] = {"root_dir": folder, **usual, **stated}
    places["output"]["work_dir"] = places["output"]["root_dir"] / WORK
    jobs = [job for flag, job in JOBS.items() if is_true(content.get(flag))]
    return Environment(
        task_id=str(content.get("task_id") or "default-task"),
        version=_numbers(content.get("protocol_version") or "0.0.1", file),
        jobs=jobs[:1] if jobs[:1] == ["training"] else jobs,
        **places,
    )


def read_task(environment: Environment, job: str) -> Task:
    """Reads config.yaml for one of the jobs.

    Raises:
        Failure: It is missing or no YAML, or names weights that are not there.
        OptionError: A setting cannot be used.
    """
    file = environment.input["config_file"]
    config = _read_yaml(file)
    names = config.get("class_names") or []
    if not isinstance(names, list):
        raise OptionError(f"{file}: class_names is no list.", "List the class names.")
    if job == "training" and not names:
        raise OptionError(f"{file} names no classes.", "List them under class_names.")
    key = "pretrained_model_params" if job == "training" else "model_params_path"
    weights = _find_weights(config.get(key) or [], environment.input["models_dir"])
    if weights is None and job != "training":
        raise Failure(
            Code.MODEL,
            f"{file}: {key} names no weights (.pth).",
            "Choose a model that this executor has trained.",
        )
    gpu_id = config.get("gpu_id")
    gpus = "" if gpu_id is None else str(gpu_id)
    return Task(
        job=job,
        environment=environment,
        settings=read_settings(config, job, file),
        class_names=[str(name) for name in names],
        gpus=[number.strip() for number in gpus.split(",") if number.strip()],
        weights=weights,
    )


def _read_yaml(file: Path) -> dict[str, Any]:
    """The names and values in a YAML file.

    Raises:
        Failure: It is missing, or holds something else.
    """
    try:
        content = yaml.safe_load(read_text(file))
    except CvtkError as error:
        raise Failure(Code.CONFIGURATION, error.message, error.remedy) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise Failure(Code.CONFIGURATION, f"{file} is not YAML: {reason}.") from None
    if not isinstance(content, dict):
        raise Failure(Code.CONFIGURATION, f"{file} holds no names and values.")
    return content


def _absolute(path: object) -> Path:
    """A complete path without `..`; links are not followed."""
    return Path(os.path.normpath(Path(str(path)).absolute()))


def _numbers(version: object, file: Path) -> tuple[int, ...]:
    """A version such as "1.0.0" as three numbers."""
    try:
        found = [int(number) for number in str(version).split(".")]
        return (*found, 0, 0)[:3]
    except ValueError:
        raise Failure(
            Code.CONFIGURATION,
            f"{file}: protocol_version {version!r} is no version.",
            "Use one such as 1.0.0.",
        ) from None


def _find_weights(names: Iterable[Any] | str, models: Path) -> Path | None:
    """The weights among the files of a model: of several, those that are called best.

    Args:
        names: Relative to the folder of models, or complete paths.
        models: The folder of models.

    Raises:
        Failure: They are not there.
    """
    listed = [names] if isinstance(names, str) else [str(name) for name in names]
    weights = [name for name in listed if name.endswith(".pth")]
    if not weights:
        return None
    file = models / next((name for name in weights if "best" in name), weights[0])
    if not is_file(file):
        raise Failure(Code.MODEL, f"There are no weights at {file}.")
    return file
