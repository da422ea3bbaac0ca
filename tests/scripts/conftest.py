"""Each kind of script is created and run once; the tests look at what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import call, load

from cvtk.scripts.create import create_script

BASES = {
    "segm": "rtmdet-ins_tiny_8xb32-300e_coco",
    "det": "rtmdet_tiny_8xb32-300e_coco",
}
TRAIN = "--epoch 3 --batch_size 2 --image_size 96 --weights none --num_workers 0"


@dataclass(frozen=True)
class Run:
    """One script and what its three commands left."""

    task: str
    mode: str
    script: Path
    output: str

    @property
    def folder(self) -> Path:
        return self.script.parent

    def named(self, ending: str) -> Path:
        """A file of the training, `fruit.v2` + ending."""
        return self.folder / f"out put/fruit.v2{ending}"


def tiny_config(folder: Path, base: str) -> Path:
    """A configuration of one's own: it reports also what a hardly trained model is unsure of."""
    mmdet = pytest.importorskip("mmdet", reason="needs MMDetection")
    (file,) = (Path(mmdet.__file__).parent / ".mim" / "configs").rglob(f"{base}.py")
    path = folder / "my tiny_8xb32.py"
    changes = "model = dict(test_cfg=dict(score_thr=0.001, max_per_img=20))"
    path.write_text(f"_base_ = {str(file)!r}\n{changes}\n")
    return path


def command(
    script: Path, *arguments: str, start: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs a script as a user does, or by another `start`, e.g. torchrun's."""
    return subprocess.run(
        [sys.executable, *(start or [script.name]), *arguments],
        cwd=script.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="session", name="command")
def _command():
    return command


@pytest.fixture(scope="session", name="call")
def _call():
    return call


@pytest.fixture(scope="session", name="load")
def _load():
    return load


@pytest.fixture
def drive(demo, tmp_path):
    """Trains a detector by a program of its own, which imports the script as `detect`."""

    def train(program: str, *, vanilla: bool, workers: int):
        create_script(tmp_path / "detect.py", "det", BASES["det"], vanilla=vanilla)
        driver = tmp_path / "driver.py"
        driver.write_text(program)
        data = ["--label", str(demo.label), "--train", str(demo.train)]
        small = f"--epoch 1 --batch_size 2 --num_workers {workers} --image_size 64"
        start = ["--weights", "none", "--device", "cpu"]
        output = ["--output_weights", "out/fruit.pth"]
        return command(driver, "train", *data, *small.split(), *start, *output)

    return train


@pytest.fixture(scope="session")
def runs(demo, tmp_path_factory):
    """(task, mode) -> the run, made when it is first asked for."""
    made: dict[tuple[str, str], Run | str] = {}

    def get(task: str, mode: str) -> Run:
        if (task, mode) not in made:
            folder = tmp_path_factory.mktemp(f"{task}_{mode}")
            made[task, mode] = run_all(folder, task, mode, demo)
        run = made[task, mode]
        assert isinstance(run, Run), run
        return run

    return get


def run_all(folder: Path, task: str, mode: str, demo) -> Run | str:
    """Runs train (with a test set), evaluate and inference; what was said where one fails."""
    config = tiny_config(folder, BASES[task])
    script = folder / f"{task}.py"
    create_script(script, task, str(config), vanilla=mode == "vanilla")
    data = f"--train|{demo.train}|--valid|{demo.valid}|--test|{demo.test}".split("|")
    weights, test = "out put/fruit.v2.pth", str(demo.test)
    output = ""
    train = ["train", "--label", str(demo.label), *data, *TRAIN.split()]
    evaluate = ["evaluate", "--data", test, "--model_weights", weights]
    images = str(demo.test.parent)
    inference = ["inference", "--data", images, "--model_weights", weights]
    for run, arguments in (
        (command, [*train, "--output_weights", weights]),
        (call, [*evaluate, "--output", "metrics"]),
        (call, [*inference, "--output", "results", "--score", "0.002"]),
    ):
        done = run(script, *arguments, "--device", "cpu")
        if done.returncode != 0:
            return f"{arguments}\n{done.stdout}{done.stderr}"
        output += done.stdout + done.stderr
    return Run(task, mode, script, output)


@pytest.fixture(scope="session")
def weights(demo, tmp_path_factory):
    """Weights of an instance segmentation, trained for an epoch."""
    from cvtk.model import create_model

    folder = tmp_path_factory.mktemp("weights")
    config = tiny_config(folder, BASES["segm"])
    model = create_model(config, labels=demo.label, task="segm")
    model.train(
        demo.train,
        output_weights=folder / "fruit.pth",
        epoch=1,
        batch_size=4,
        num_workers=0,
        image_size=64,
        weights="none",
        device="cpu",
    )
    return model.weights
