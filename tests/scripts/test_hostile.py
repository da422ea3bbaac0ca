"""Hostile options, annotations, images, weights and disks, through the commands of both kinds of script.

A run ends well, or in one line, or in argparse's usage. Where it fails, nothing new stands under a final name;
in any case nothing of the user's is changed. `benchmarks/hostile.py` tries thousands of such cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("mmdet", reason="needs MMDetection")

from hostile_attacks import OF, is_possible
from hostile_cases import MODES, Scripts, options_of, small_process

# CVTK_EXAMPLES=5000 searches for an hour where the default takes a minute or two.
COUNT = int(os.environ.get("CVTK_EXAMPLES", "300"))
quick = settings(
    max_examples=COUNT,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="CVTK_EXAMPLES" not in os.environ,
    database=None,
)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    with small_process():
        yield Scripts(tmp_path_factory.mktemp("hostile"))


@st.composite
def cases(draw):
    """A kind of script, a command, attacks, and their seed; trainings, which cost seconds, are the fewest."""
    command = draw(st.sampled_from(["evaluate", "inference", "inference", "train"]))
    mode = draw(st.sampled_from(MODES))
    possible = [name for name in OF[command] if is_possible(mode, command, name)]
    names = st.lists(st.sampled_from(possible), min_size=1, max_size=2, unique=True)
    return mode, command, draw(names), draw(st.integers(0, 999))


@pytest.mark.train
def test_whatever_comes_ends_in_a_line(scripts):
    @quick
    @given(cases())
    def run(case):
        outcome = scripts.run(*case)
        assert outcome.good, outcome

    run()


# What was found by the search, one of a kind.
FOUND = [
    ("helper", "train", "--set model.bbox_head.in_channels=7", "--set"),
    ("helper", "train", "--set optim_wrapper.optimizer.type=Nonsense", "Nonsense"),
    ("helper", "train", "--set optim_wrapper.optimizer.lr=high", "lr=high"),
    ("helper", "train", "--output_weights '..pth'", ".pth"),
    ("helper", "inference", "image: cut", "b.png"),
    ("helper", "evaluate", "COCO: image ids twice", "image 1"),
    ("helper", "evaluate", "COCO: image of another size", "48 x 64"),
    ("helper", "inference", "annotations replaced", "replace"),
    ("vanilla", "train", "--train 'data/pipe'", "data/pipe"),
    ("vanilla", "train", "--output_weights ''", "does not end in .pth"),
    ("vanilla", "train", "--set optim_wrapper.optimizer.type=Nonsense", "Nonsense"),
    ("vanilla", "train", "--set work_dir=elsewhere", "--output_weights"),
    ("vanilla", "train", "workspace is a file", "out/result"),
    ("vanilla", "train", "COCO: image of a pipe", "no image"),
    ("vanilla", "train", "results are folders", "exists"),
    ("vanilla", "train", "--set default_hooks.checkpoint=None", "no checkpoint"),
    ("vanilla", "evaluate", "--output 'data/label.txt/more'", "data/label.txt"),
    ("vanilla", "evaluate", "weights: None", "model.pth"),
    ("vanilla", "evaluate", "configuration: a syntax error", "model.py"),
    ("vanilla", "inference", "COCO: image name absolute", "/etc/hosts"),
    ("vanilla", "inference", "COCO: image name surrogate", "no image"),
    ("vanilla", "inference", "--model_weights ''", "no file"),
    ("vanilla", "inference", "image: 50000 x 1", "50000"),
    ("vanilla", "inference", "results exist", "--force"),
]


@pytest.mark.parametrize(("mode", "command", "name", "said"), FOUND)
def test_what_was_found_ends_in_a_line(mode, command, name, said, scripts):
    outcome = scripts.run(mode, command, [name], 0)
    assert outcome.kind == "line", outcome
    assert said in outcome.detail


@pytest.mark.usefixtures("not_root")
@pytest.mark.parametrize("command", OF)
@pytest.mark.parametrize("mode", MODES)
def test_a_read_only_folder(mode, command, scripts):
    outcome = scripts.run(mode, command, ["surroundings: read-only results"], 0)
    assert outcome.kind == "line", outcome
    assert "out" in outcome.detail and "Permission denied" in outcome.detail
    outcome = scripts.run(mode, command, ["surroundings: read-only data"], 0)
    assert outcome.kind == "success", outcome


@pytest.mark.parametrize("mode", MODES)
def test_a_run_without_an_attack_succeeds(mode, scripts):
    for command in ("evaluate", "inference"):
        assert scripts.run(mode, command, [], 0).kind == "success"


def test_the_judge_sees_what_is_changed(scripts, monkeypatch):
    # A script that destroys an image, or leaves half a result, is found out.
    module = scripts.modules["helper"]
    monkeypatch.setattr(module, "main", lambda: Path("data/label.txt").write_text(""))
    assert scripts.run("helper", "evaluate", [], 0).kind == "changed"
    monkeypatch.setattr(module, "main", lambda: Path("out/new").touch() or 1 / 0)
    assert scripts.run("helper", "evaluate", [], 0).kind == "new file"
    monkeypatch.setattr(module, "main", lambda: 1 / 0)
    assert scripts.run("helper", "evaluate", [], 0).kind == "traceback"


@pytest.mark.train
@pytest.mark.parametrize("mode", MODES)
def test_other_surroundings(mode, scripts, tmp_path):
    """A notebook's MPLBACKEND, an old locale, no docstrings, names that are not ASCII, and a start from weights."""
    for name in ("data", "weights"):
        (tmp_path / name).symlink_to(scripts.clean / name)
    options = options_of("train")
    options.update(output_weights="out/é ü.pth", weights="weights/model.pth")
    (tmp_path / "é.txt").write_text("leaf\nstem\n")
    options["label"] = "é.txt"
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    done = subprocess.run(
        [sys.executable, "-OO", str(scripts.scripts[mode]), "train", *words],
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "C", "MPLBACKEND": "module://none_such"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out" / "é ü.pth").is_file()
    assert json.loads((tmp_path / "data" / "all.json").read_text())["images"]
