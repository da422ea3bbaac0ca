"""The package: what the wheel holds, and that a start of Python says nothing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import cvtk

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked as pip would unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(folder),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("cvtk-*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_package_templates_and_hook(wheel):
    def files(folder):
        return {
            str(p.relative_to(folder))
            for p in folder.rglob("*")
            if p.is_file() and "__pycache__" not in p.parts
        }

    package = files(wheel / "cvtk")
    assert package == files(ROOT / "src" / "cvtk") | {
        f"templates/{f}" for f in files(ROOT / "templates")
    }
    assert {"py.typed", "__init__.py"} <= package
    assert any(f.startswith("templates/") for f in package)
    top = {p.name for p in wheel.iterdir()}
    assert top == {
        "cvtk",
        f"cvtk-{cvtk.__version__}.dist-info",
        "_cvtk_mmcv_ops.py",
        "_cvtk_mmcv_ops.pth",
    }


def test_the_metadata(wheel):
    (info,) = wheel.glob("*.dist-info")
    metadata = message_from_string((info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Version"] == cvtk.__version__ == importlib.metadata.version("cvtk")
    assert metadata["Requires-Python"] == ">=3.10"
    light = [
        line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line
    ]
    assert not [line for line in light if re.match(r"(torch|onedl|mm|opencv)", line)]
    assert (info / "licenses" / "LICENSE").is_file()


@pytest.mark.parametrize("task", ["segm", "det"])
def test_the_installed_wheel_finds_its_templates(wheel, tmp_path, task):
    script = tmp_path / "made.py"
    code = "import cvtk, sys; print(cvtk.__file__); from cvtk.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "create", "--task", task, "--script", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]) == wheel / "cvtk" / "__init__.py", (
        "the wheel, not the checkout"
    )
    assert script.is_file()


def test_python_starts_without_a_word():
    done = subprocess.run(
        [sys.executable, "-c", "pass"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_changelog_knows_this_version():
    assert f"## {cvtk.__version__}" in (ROOT / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )


def test_every_direct_requirement_is_pinned():
    pinned = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    required = {
        re.split(r"[<>=!~ ;\[]", line)[0].lower().replace("_", "-")
        for line in importlib.metadata.requires("cvtk")
    }
    assert required - pinned == set()
