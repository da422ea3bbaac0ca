"""Both kinds of script work with the original MMDetection, which may be installed already in place of its fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "original"
pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(
        not (FOLDER / "mmdet").is_dir(), reason="only `make test` installs it"
    ),
]


def python(*arguments, folder):
    """Runs Python in a folder, where the original's packages are found before the fork's."""
    surroundings = {"PYTHONPATH": str(FOLDER), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_the_original(tmp_path):
    program = "import mmcv, mmdet, mmengine\nprint(mmcv.__file__, mmdet.__version__, mmengine.__version__)"
    file, mmdet, mmengine = python("-c", program, folder=tmp_path).split()
    assert Path(file).is_relative_to(FOLDER)
    assert (mmdet, mmengine) == ("3.3.0", "0.10.7")


@pytest.mark.parametrize(
    ("mode", "model"),
    [
        ("helper", "rtmdet-ins_tiny"),
        ("vanilla", "rtmdet-ins_tiny"),
        ("helper", "mask-rcnn_r50_fpn_1x_coco"),
    ],
)
def test_a_script_trains_goes_on_and_predicts(mode, model, demo, tmp_path):
    create = ["-m", "cvtk", "create", "--model", model]
    more = ["--vanilla"] if mode == "vanilla" else []
    python(*create, "--script", "segm.py", "--task", "segm", *more, folder=tmp_path)
    sets = ["--train", demo.train, "--valid", demo.valid, "--test", demo.test]
    small = "--batch_size 2 --image_size 96 --weights none --num_workers 0"
    weights = ["--label", demo.label, "--output_weights", "out/fruit.pth"]
    train = ["segm.py", "train", *sets, *weights, *small.split()]
    python(*train, "--epoch", 1, folder=tmp_path)
    python(*train, "--epoch", 2, "--resume", folder=tmp_path)
    found = ["--label", demo.label, "--data", demo.test, "--output", "found"]
    trained = ["--model_weights", "out/fruit.pth"]
    python("segm.py", "inference", *found, *trained, folder=tmp_path)

    stats = json.loads((tmp_path / "out/fruit.test_stats.json").read_text())
    assert set(stats["class_stats"]) == {"strawberry", "blueberry", "lemon"}
    table = (tmp_path / "out/fruit.train_stats.train.txt").read_text()
    assert len(table.splitlines()) == 1 + 2, "a line for each epoch"
    predicted = json.loads((tmp_path / "found/instances.json").read_text())
    assert len(predicted["images"]) == 3
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 3
