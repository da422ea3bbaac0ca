"""How a helper script runs: mistakes end in a line, and a script of another cvtk runs or says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

import cvtk
from cvtk.errors import CvtkError
from cvtk.scripts.create import create_script
from cvtk.scripts.run import run

OLD = Path(__file__).parent / "old" / "segm_0_1_0.py"


@pytest.fixture(autouse=True)
def handler():
    """`run` takes SIGTERM; afterwards it is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ended(main, script="", arguments=("train",)):
    """What a script ends with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["segm.py", *arguments])
        with pytest.raises(SystemExit) as end:
            run(main, str(script))
    return end.value.code


def raises(error):
    def main():
        raise error

    return main


def stamped(folder, version):
    """A script whose stamp names a version."""
    script = create_script(folder / "segm.py", "segm")
    text = script.read_text()
    text = text.replace(f'"version": "{cvtk.__version__}"', f'"version": "{version}"')
    script.write_text(text)
    return script


def test_a_users_mistake_is_one_line():
    assert ended(raises(CvtkError("No.", "Do that."))) == "Error: No. Do that."


def test_what_the_system_refuses_is_one_line():
    line = ended(raises(OSError(28, "No space left on device", "out/a.pth")))
    assert line.startswith("Error: out/a.pth: No space left on device")


def test_stopping_says_how_to_go_on():
    assert "--resume" in ended(raises(KeyboardInterrupt()))
    said = ended(raises(KeyboardInterrupt()), arguments=["inference"])
    assert said.endswith("--resume goes on from the last image.")
    assert ended(raises(KeyboardInterrupt()), arguments=["evaluate"]) == "Stopped."


def test_sigterm_is_as_ctrl_c():
    def main():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10**6):
            pass

    assert "--resume" in ended(main)


def test_a_mistake_in_the_script_keeps_its_traceback(tmp_path):
    script = create_script(tmp_path / "segm.py", "segm")
    for error in (TypeError("x"), KeyError("x"), ValueError("x")):
        with pytest.raises(type(error)):
            run(raises(error), str(script))


def test_a_script_without_a_stamp_keeps_its_traceback(tmp_path):
    (tmp_path / "mine.py").write_text("import cvtk\n")
    with pytest.raises(AttributeError):
        run(raises(AttributeError("x")), str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    "call", ["model.train(shine=7)", "model.polish()", "cvtk.polish(model)"]
)
def test_a_script_of_a_newer_cvtk_that_this_one_cannot_run(call, tmp_path, demo, load):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = stamped(tmp_path, "9.1")
    text = script.read_text()
    start = text.index("    model.train(")
    end = text.index("\n\n\ndef evaluate", start)
    script.write_text(f"{text[:start]}    {call}\n{text[end:]}")
    arguments = ["train", "--label", str(demo.label), "--train", str(demo.train)]
    arguments += ["--output_weights", str(tmp_path / "a.pth")]
    line = ended(load(script).main, script, arguments)
    assert "made by cvtk 9.1" in line and f"this is cvtk {cvtk.__version__}" in line
    assert "cvtk create --script segm.py --task segm" in line
    assert "pip install cvtk==9.1" in line and "\n" not in line


@pytest.mark.train
def test_a_script_of_the_first_version_runs(tmp_path, call, demo):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = Path(shutil.copy(OLD, tmp_path / "segm.py"))
    data = ["--label", str(demo.label), "--device", "cpu"]
    options = "--epoch 1 --batch_size 4 --num_workers 0 --image_size 64 --weights none"
    done = call(
        script,
        *("train", "--train", str(demo.train), "--test", str(demo.test)),
        *(*data, *options.split(), "--output_weights", "out/a.pth"),
    )
    assert done.returncode == 0, done.stderr
    weights = ["--model_weights", "out/a.pth"]
    done = call(
        script, "evaluate", "--data", str(demo.test), *weights, *data, "--output", "m"
    )
    assert done.returncode == 0, done.stderr
    images = str(demo.test.parent / "images")
    done = call(script, "inference", "--data", images, *weights, *data, "--output", "i")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/a.test_stats.json").is_file()
    assert (tmp_path / "m/test_stats.json").is_file()
    assert (tmp_path / "i/instances.json").is_file()


def test_its_options_are_refused_as_those_of_a_new_one(tmp_path, call, demo):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = Path(shutil.copy(OLD, tmp_path / "segm.py"))
    data = ["--label", str(demo.label), "--train", str(demo.train)]
    done = call(script, "train", *data, "--output_weights", "a.pth", "--epoch", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: --epoch cannot be 0")
