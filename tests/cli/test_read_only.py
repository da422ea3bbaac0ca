"""A folder that cannot be written to: one line that names it, and nothing is left."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cvtk.cli import main

pytestmark = pytest.mark.usefixtures("not_root")

COMMANDS = [
    "create --script {out}/segm.py --task segm",
    "create --script {out}/segm.py --task segm --vanilla",
    "demo --output {out}/demo",
    "data convert {train} {out}/a.json",
    "data convert {train} {out}/yolo --to yolo",
    "data split {train} --output {out}/sets",
    "data combine {train} {valid} {out}/both.json",
    "data remove {train} {out}/less.json --empty",
    "data crop {train} {out}/crops",
    "data show {train} {out}/shown",
    "data check {train} --output {out}/report --no-images",
    "data check {train} --output {free} --no-images --fix {out}/fixed.json",
    "measure {train} --output {out}",
]


@pytest.fixture
def folder(tmp_path):
    """Read-only."""
    path = tmp_path / "out"
    path.mkdir(mode=0o555)
    yield path
    path.chmod(0o755)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda text: text.split(" {")[0])
def test_one_line_names_the_folder(command, folder, demo, tmp_path):
    places = {"out": folder, "free": tmp_path / "free"}
    places |= {"train": demo.train, "valid": demo.valid}
    words = [word.format(**places) for word in command.split()]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ") and "Permission denied" in line
    assert str(folder) in line
    assert list(folder.iterdir()) == []


def test_the_catalogue_is_read_where_nothing_can_be_kept(folder, monkeypatch):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    done = CliRunner().invoke(main, ["models", "rtmdet-ins_tiny"])
    assert done.exit_code == 0 and "rtmdet-ins_tiny" in done.output
