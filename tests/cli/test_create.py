"""`cvtk create` writes a script that Python can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from cvtk.cli import main
from cvtk.scripts.create import render


def create(*arguments):
    return CliRunner().invoke(main, ["create", *arguments], prog_name="cvtk")


@pytest.mark.parametrize("task", ["segm", "det"])
@pytest.mark.parametrize("vanilla", [False, True])
def test_it_writes_the_script(task, vanilla, tmp_path):
    script = tmp_path / "my script.py"
    more = ["--vanilla"] if vanilla else []
    done = create("--script", str(script), "--task", task, *more)
    assert done.exit_code == 0, done.output
    assert str(script) in done.output
    assert script.read_text() == render("my script.py", task, vanilla=vanilla)
    ast.parse(script.read_text())


def test_the_model_stands_in_the_script(tmp_path):
    script, model_file = tmp_path / "segm.py", tmp_path / "a'b\\c {x} ü.py"
    model_file.write_text("model = dict()")
    done = create("--script", str(script), "--task", "segm", "--model", str(model_file))
    assert done.exit_code == 0, done.output
    (model,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODEL"
    ]
    assert model == str(model_file)


def test_a_misspelt_model_is_one_line_that_names_the_closest(tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = tmp_path / "segm.py"
    done = create(
        "--script", str(script), "--task", "segm", "--model", "rtmdet-ins_tyni"
    )
    assert done.exit_code == 1
    (line,) = done.output.strip().splitlines()
    assert "rtmdet-ins_tyni" in line and "rtmdet-ins_tiny_8xb32-300e_coco" in line
    assert not script.exists()


def test_a_part_of_a_name_becomes_the_whole(tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = tmp_path / "segm.py"
    create("--script", str(script), "--task", "segm", "--model", "rtmdet-ins_tiny")
    assert 'MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"' in script.read_text()


def test_a_script_that_exists_is_kept_unless_forced(tmp_path):
    script = tmp_path / "segm.py"
    script.write_text("mine")
    done = create("--script", str(script), "--task", "segm")
    assert (done.exit_code, script.read_text()) == (1, "mine")
    assert len(done.output.strip().splitlines()) == 1
    assert "segm.py" in done.output and "--force" in done.output
    assert create("--script", str(script), "--task", "segm", "--force").exit_code == 0
    assert script.read_text() != "mine"


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path):
    Path(tmp_path / "file").write_text("")
    done = create("--script", str(tmp_path / "file" / "segm.py"), "--task", "segm")
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "segm"],
        ["--script", "segm.py"],
        ["--script", "segm.py", "--task", "pose"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments):
    assert create(*arguments).exit_code == 2


def test_a_configuration_that_is_not_python_is_one_line(tmp_path):
    (tmp_path / "mine.py").write_text("model = dict(\n")
    script = tmp_path / "segm.py"
    done = create(
        "--script", str(script), "--task", "segm", "--model", str(tmp_path / "mine.py")
    )
    assert done.exit_code == 1
    assert "mine.py, line 1: this is not a configuration" in done.output
    assert not script.exists()


def test_a_device_is_never_replaced():
    done = create("--script", "/dev/null", "--task", "segm", "--force")
    assert done.exit_code == 1 and "is a link or a device" in done.output
    assert not Path("/dev/null").is_file()
