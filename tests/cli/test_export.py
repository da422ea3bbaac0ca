"""`cvtk export`: what is wrong is said in one line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cvtk.cli import main


def run(*args):
    return CliRunner().invoke(main, ["export", *map(str, args)])


def test_weights_that_are_not_there(tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    done = run(tmp_path / "a.pth")
    assert done.exit_code == 1
    assert "There are no weights at" in done.output
    assert "Traceback" not in done.output


def test_a_format_that_is_not_written():
    done = run("a.pth", "--to", "coffee")
    assert done.exit_code == 2
    assert "'coffee' is not one of 'onnx', 'openvino', 'torchscript'" in done.output


def test_the_help_has_an_example():
    assert "cvtk export outputs/fruit.pth --to onnx" in run("--help").output
