"""The folder of an executor: what Docker builds the image of."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

import cvtk
from cvtk.cli import main
from cvtk.errors import CvtkError, FileError, ModelError
from cvtk.options import DEFAULT_MODELS
from cvtk.scripts.stamp import read_stamp
from cvtk.ymir.create import create_executor
from cvtk.ymir.settings import FORM, read_settings

FILES = [
    "Dockerfile",
    "executor.py",
    "img-man/infer-template.yaml",
    "img-man/manifest.yaml",
    "img-man/mining-template.yaml",
    "img-man/training-template.yaml",
    "start.sh",
]


@pytest.fixture
def folder(executor):
    return executor.parent


def test_the_command_writes_the_folder(tmp_path):
    folder = tmp_path / "my ymir"
    arguments = [
        "create",
        "--script",
        str(folder),
        "--task",
        "segm",
        "--target",
        "ymir",
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert f"docker build -t NAME {folder}" in done.output
    files = [str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()]
    assert sorted(files) == FILES
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1 and "exists already" in again.stderr
    assert CliRunner().invoke(main, [*arguments, "--force"]).exit_code == 0
    assert CliRunner().invoke(main, [*arguments, "--vanilla"]).exit_code == 2


def test_what_the_platform_reads_of_the_image(folder):
    manifest = yaml.safe_load((folder / "img-man" / "manifest.yaml").read_text())
    assert manifest == {"object_type": 4}
    for job in FORM:
        file = folder / "img-man" / f"{job}-template.yaml"
        form = yaml.safe_load(file.read_text())
        assert all(type(value) in (str, int, float, bool) for value in form.values())
        assert read_settings(form, job, file) == read_settings({}, job, file) | (
            {"model": "rtmdet-ins_tiny_8xb32-300e_coco"} if job == "training" else {}
        ), "the form as it is gives cvtk's own defaults"
        given = {"shm_size", "export_format", "model"}
        assert set(form) - given == set(FORM[job][1])
    training = (folder / "img-man" / "training-template.yaml").read_text()
    assert yaml.safe_load(training)["export_format"] == "seg-coco:raw"


def test_an_executor_for_detection(tmp_path):
    folder = create_executor(tmp_path / "det", "det")
    manifest = yaml.safe_load((folder / "img-man" / "manifest.yaml").read_text())
    assert manifest == {"object_type": 2}
    training = (folder / "img-man" / "training-template.yaml").read_text()
    assert yaml.safe_load(training)["export_format"] == "ark:raw"
    assert yaml.safe_load(training)["model"] == DEFAULT_MODELS["det"]
    text = (folder / "executor.py").read_text()
    assert 'task="det"' in text and "ymir.write_detections(task" in text
    assert "segm" not in text and read_stamp(folder / "executor.py").task == "det"
    ruff = [sys.executable, "-m", "ruff", "format", "--check", str(folder)]
    subprocess.run(ruff, check=True, capture_output=True)


def test_the_program_is_short_and_stamped_and_uses_every_setting(executor):
    text = executor.read_text()
    assert len(text.splitlines()) <= 80
    assert read_stamp(executor).mode == "ymir"
    functions = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    assert functions == ["train", "mine", "infer", "find"]
    used = set(re.findall(r'settings\["(\w+)"\]', text))
    assert used == {"model", *(name for _, names in FORM.values() for name in names)}
    for command in (["check", "--ignore=ANN"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, str(executor)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_image_is_built_of_what_is_there(folder):
    text = (folder / "Dockerfile").read_text()
    steps = re.sub(r"\\\n", " ", text).splitlines()
    kinds = [step.split()[0] for step in steps if step and step[0] not in "# "]
    assert kinds == ["FROM", "RUN", "COPY", "RUN", "COPY", "COPY", "ENV", "CMD"]
    copied = re.findall(r"^COPY (?:--\S+ )?(\S+) (\S+)$", text, re.MULTILINE)
    assert copied == [
        (".", "/app"),
        ("img-man/*.yaml", "/img-man/"),
        ("start.sh", "/usr/bin/start.sh"),
    ]
    assert json.loads(steps[-1].removeprefix("CMD ")) == ["/usr/bin/start.sh"]
    assert f'"cvtk[mmdet,ymir]=={cvtk.__version__}"' in text
    start = folder / "start.sh"
    assert start.stat().st_mode & 0o111
    assert "cd /app && exec python -u executor.py" in start.read_text()
    subprocess.run(["sh", "-n", str(start)], check=True)


def test_what_no_executor_can_be_made_for(tmp_path):
    for arguments, kind, said in (
        (("cls",), CvtkError, "no executor for cls"),
        (("segm", "no-such-model"), ModelError, "There is no model"),
        (("segm", "my/model.py"), ModelError, "which the image does not hold"),
    ):
        with pytest.raises(kind, match=said):
            create_executor(tmp_path / "x", *arguments)
    (tmp_path / "file").touch()
    with pytest.raises(FileError):
        create_executor(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
