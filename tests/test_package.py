"""The package: what the wheel holds, and that a start of Python says nothing."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    assert (info / "licenses" / "LICENSE").is_file()


def requirements(wheel):
    """What the wheel needs, alone and with its extras."""
    (info,) = wheel.glob("*.dist-info")
    metadata = message_from_string((info / "METADATA").read_text(encoding="utf-8"))
    return [Requirement(line) for line in metadata.get_all("Requires-Dist")]


def brought_in(needed, extra):
    """The names of all distributions that `pip install "cvtk[extra]"` brings, by what is installed here."""
    found, waiting = set(), [(r, extra) for r in needed]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if name in found or (marker and not marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        further = importlib.metadata.requires(name) or []
        waiting += [
            (Requirement(r), more)
            for r in further
            for more in ("", *requirement.extras)
        ]
    return found


def test_exported_models_need_little(wheel):
    """A model in ONNX runs where neither PyTorch nor what draws figures is installed."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    names = brought_in(requirements(wheel), "onnx")
    light = "click filelock jinja2 markupsafe msgspec numpy pillow platformdirs pycocotools pyyaml tabulate tifffile wcwidth"
    assert names - {"colorama"} == {
        *light.split(),
        "flatbuffers",
        "onnxruntime",
        "packaging",
        "protobuf",
    }
    files = [f for name in names for f in importlib.metadata.files(name)]
    size = sum(
        file.locate().stat().st_size for file in files if file.locate().is_file()
    )
    assert size < 250e6, "docs/export.md says how much room it takes"


def test_extras_bring_what_they_stand_on(wheel):
    needed = requirements(wheel)
    analysis = {"matplotlib", "pandas", "scikit-image", "scipy"}
    assert analysis <= brought_in(needed, "analysis")
    assert analysis <= brought_in(needed, "serve")
    assert analysis | {"torch", "onedl-mmdetection"} <= brought_in(needed, "mmdet")
    assert {"onnx", "onnxruntime"} <= brought_in(needed, "export")


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


def test_every_direct_requirement_is_pinned(wheel):
    pinned = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    required = {canonicalize_name(r.name) for r in requirements(wheel)}
    assert required - pinned == set()
