"""A training that is killed in the middle of an epoch goes on from the last completed one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.weights import read_weights
from cvtk.scripts.create import create_script

MODEL = "rtmdet_tiny_8xb32-300e_coco"
EPOCHS = 4


@pytest.fixture(scope="module")
def folder(make_folder):
    """A folder with a script of each kind."""
    made = make_folder("resume")
    for mode in ("helper", "vanilla"):
        create_script(made / f"{mode}.py", "det", MODEL, vanilla=mode == "vanilla")
    return made


@pytest.fixture(scope="module")
def arguments(demo):
    """A training of four epochs into a folder of that name."""

    def make(name, *more):
        data = ["--label", demo.label, "--train", demo.train, "--valid", demo.valid]
        options = f"--epoch {EPOCHS} --batch_size 1 --num_workers 0 --image_size 64"
        options += f" --weights none --device cpu --output_weights {name}/a.pth"
        return ["train", *map(str, data), *options.split(), *more]

    return make


@pytest.fixture(scope="module")
def train(arguments, folder):
    """Starts a training as a user does; `mode` tells which script."""

    def start(mode, name, *more):
        log = (folder / f"{name}.log").open("w")
        return subprocess.Popen(
            [sys.executable, f"{mode}.py", *arguments(name, *more)],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
            stdout=log,
            stderr=subprocess.STDOUT,
        ), folder / name

    return start


def finished(process, folder):
    assert process.wait(300) == 0, folder.with_suffix(".log").read_text()
    return folder


@pytest.fixture(scope="module")
def unbroken(call, folder, arguments):
    done = call(folder / "helper.py", *arguments("unbroken"))
    assert done.returncode == 0, done.stderr
    return folder / "unbroken"


def kill_in_the_third_epoch(process, folder):
    """SIGKILL, when two epochs are done and steps of the third have been made."""
    checkpoint, log = folder / "a" / "epoch_2.pth", folder.with_suffix(".log")
    done = re.compile(r"epoch 2/|Epoch\(val\) +\[2\]\[")
    for _ in range(12000):
        if checkpoint.exists() and done.search(log.read_text()):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert done.search(log.read_text())
    assert not (folder / "a.pth").exists()


def last(folder):
    return torch.load(
        folder / "a" / f"epoch_{EPOCHS}.pth", map_location="cpu", weights_only=False
    )


def schedules(checkpoint):
    """The state of each scheduler; of groups of weights, of which the helper script makes fewer, all that differ."""
    return [
        {k: {*v} if isinstance(v, list) else v for k, v in schedule.items()}
        for schedule in checkpoint["param_schedulers"]
    ]


@pytest.mark.train
@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_after_a_kill_it_goes_on_as_if_unbroken(mode, train, unbroken):
    process, folder = train(mode, f"broken_{mode}")
    kill_in_the_third_epoch(process, folder)
    finished(*train(mode, f"broken_{mode}", "--resume"))
    if mode == "helper":
        text = folder.with_suffix(".log").read_text()
        assert "Goes on from" in text and "epoch 1/" not in text

    for split, column in (("train", "epoch"), ("valid", "step")):
        one, two = (
            pd.read_csv(f / f"a.train_stats.{split}.txt", sep="\t")
            for f in (unbroken, folder)
        )
        assert two[column].tolist() == list(range(1, EPOCHS + 1))
        assert list(one) == list(two)
        if split == "train":
            assert two["lr"].tolist() == pytest.approx(one["lr"].tolist())
            # the first two epochs are those that were made before
            assert two["loss"][:2].tolist() == pytest.approx(one["loss"][:2].tolist())

    one, two = last(unbroken), last(folder)
    assert (two["meta"]["epoch"], two["meta"]["iter"]) == (
        one["meta"]["epoch"],
        one["meta"]["iter"],
    )
    assert schedules(two) == schedules(one)
    steps = [
        {float(s["step"]) for s in c["optimizer"]["state"].values()} for c in (one, two)
    ]
    assert steps[0] == steps[1] == {one["meta"]["iter"]}

    # the best is that of all epochs, those before the kill too
    scores = pd.read_csv(folder / "a.train_stats.valid.txt", sep="\t")
    best = two["message_hub"]["runtime_info"].get("best_score")
    if best is not None:
        assert best == pytest.approx(scores["coco/bbox_mAP"].max())
    weights = read_weights(folder / "a.pth")["state_dict"]
    assert all(torch.isfinite(v).all() for v in weights.values())


@pytest.mark.train
def test_vanilla_stopped_before_its_first_validation(train):
    output = finished(*train("vanilla", "early", "--epoch", "1"))
    (best,) = (output / "a").glob("best_*.pth")
    for file in [best, *output.glob("a.*")]:
        file.unlink()
    # The best one is gone: the last is taken.
    finished(*train("vanilla", "early", "--epoch", "1", "--resume"))
    assert (output / "a.pth").is_file() and not best.exists()
    # The checkpoint of the epoch had just been written.
    checkpoint = torch.load(output / "a" / "epoch_1.pth", weights_only=False)
    for noted in ("best_ckpt", "best_score"):
        del checkpoint["message_hub"]["runtime_info"][noted]
    torch.save(checkpoint, output / "a" / "epoch_1.pth")
    finished(*train("vanilla", "early", "--epoch", "1", "--resume"))
    assert best.is_file(), "it was validated, and is the best"


@pytest.mark.train
def test_where_nothing_was_begun_it_starts(call, folder, arguments):
    new = arguments("new", "--resume", "--epoch", "1")
    done = call(folder / "helper.py", *new)
    assert done.returncode == 0, done.stderr
    assert (folder / "new" / "a.pth").is_file()


@pytest.mark.train
@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_a_stopped_training_is_not_begun_anew_unasked(
    mode, call, unbroken, folder, arguments
):
    stopped = folder / f"stopped_{mode}"
    shutil.copytree(unbroken / "a", stopped / "a")
    done = call(folder / f"{mode}.py", *arguments(stopped.name))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ") and "--force" in line
    if mode == "helper":
        assert f"stopped after epoch {EPOCHS}" in line and "--resume" in line
    assert (stopped / "a" / f"epoch_{EPOCHS}.pth").is_file()
    assert list((stopped / "a").glob("*/vis_data/scalars.json"))
