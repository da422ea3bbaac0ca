"""`cvtk doctor`, as a user types it."""

from __future__ import annotations

import json
import sys

from click.testing import CliRunner

from cvtk.cli import main
from cvtk.doctor import CHECKS


def test_without_torch_the_report_ends_with_code_1_and_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert 'pip install "cvtk[mmdet]"' in result.output
    assert "Training does not work here yet: mend torch" in result.output


def test_json_is_json():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert [c["name"] for c in report["checks"]] == list(CHECKS)
    assert result.exit_code == (0 if report["can_train"] else 1)
