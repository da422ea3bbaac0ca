"""`cvtk doctor`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys

import click
from click.testing import CliRunner

from cvtk import doctor
from cvtk.cli import main
from cvtk.doctor import CHECKS, Check


def test_without_torch_the_report_ends_with_code_1_and_the_command():
    # in a process of its own: what is imported without torch stays without it
    code = "import sys; sys.modules['torch'] = None; from cvtk.cli import main; main(['doctor'])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert 'pip install "cvtk[mmdet]"' in result.stdout
    assert "Training does not work here yet: mend torch" in result.stdout


def test_json_is_json():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert [c["name"] for c in report["checks"]] == list(CHECKS)
    assert result.exit_code == (0 if report["can_train"] else 1)


def test_the_report_has_a_line_per_check_and_the_remedy_below(monkeypatch):
    checks = {
        "good": lambda: Check("good", "ok", "1.0, /a/b"),
        "long name": lambda: Check("long name", "note", "a\x1b[31m", "pip install it"),
    }
    monkeypatch.setattr(doctor, "CHECKS", checks)
    result = CliRunner().invoke(main, ["doctor"], color=True)
    plain = click.unstyle(result.output).splitlines()
    assert plain[:3] == [
        "ok    good       1.0, /a/b",
        r"note  long name  a\x1b[31m",
        "                 -> pip install it",
    ]
    assert click.style("ok", fg="green") in result.output
    assert result.exit_code == 0
