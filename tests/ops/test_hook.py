"""The start-up hook, each time in a fresh Python that never imports cvtk by itself."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from cvtk.ops import provider

ROOT = Path(__file__).parents[2]
SITE = sysconfig.get_paths()["purelib"]
ours = pytest.mark.skipif(
    provider() != "cvtk", reason="mmcv.ops is compiled here, or cvtk not installed"
)


def python(code, *options, executable=sys.executable, path=(), check=True):
    """Runs a program; PYTHONPATH folders are importable, but their .pth files are not read."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(
        [executable, *options, "-c", code],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=120,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


def package(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


USES_NMS = """
import sys, mmcv.ops, torch
dets, kept = mmcv.ops.nms(torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8]]), torch.tensor([.5, .6]), .5)
print(kept.tolist(), mmcv._ext.__spec__.name, mmcv._ext.__spec__.loader is not None)
"""


@ours
def test_a_program_without_cvtk_uses_mmcv_ops():
    assert python(USES_NMS).stdout.strip() == "[1] mmcv._ext True"


@ours
def test_reports_of_the_environment_work():
    """mmcv and mmdet ask which compiler made the operators."""
    code = """
import importlib.util, cvtk.ops
from mmcv.utils import collect_env
print(collect_env()["MMCV Compiler"])
print(cvtk.ops.provider(), importlib.util.find_spec("mmcv._ext") is not None)
"""
    lines = python(code).stdout.strip().splitlines()
    assert lines[-2].startswith("none (operators of cvtk on torchvision ")
    assert lines[-1] == "cvtk True"


def test_nothing_but_itself_is_imported_at_start():
    code = "import sys; old = set(sys.modules); import _cvtk_mmcv_ops; print(*sorted(set(sys.modules) - old))"
    assert python(code, "-S", path=[ROOT / "src"]).stdout.split() == ["_cvtk_mmcv_ops"]


# A package of the name mmcv, so that the rules can be seen without a compiler.
FAKE = {"mmcv/__init__.py": "", "mmcv/_ext.py": "WHO = 'compiled'"}


def test_a_compiled_extension_wins(tmp_path):
    package(tmp_path, FAKE)
    code = "import _cvtk_mmcv_ops, mmcv._ext; print(mmcv._ext.WHO)"
    assert (
        python(code, "-S", path=[ROOT / "src", tmp_path]).stdout.strip() == "compiled"
    )


def test_a_compiled_extension_wins_by_whatever_finder(tmp_path):
    """Editable installs find their modules by finders that are appended to sys.meta_path, after the hook."""
    package(tmp_path, {"mmcv/__init__.py": "", "elsewhere/_ext.py": "WHO = 'compiled'"})
    code = f"""
import _cvtk_mmcv_ops, sys
from importlib.util import spec_from_file_location
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, {str(tmp_path / "elsewhere/_ext.py")!r}) if name == "mmcv._ext" else None
sys.meta_path.append(Finder)
import mmcv._ext
print(mmcv._ext.WHO)
"""
    assert (
        python(code, "-S", path=[ROOT / "src", tmp_path]).stdout.strip() == "compiled"
    )


def test_silent_where_cvtk_is_gone_or_broken(tmp_path):
    """Then Python says about mmcv._ext what it says without the hook."""
    package(tmp_path, {"mmcv/__init__.py": ""})
    hook = (ROOT / "src/_cvtk_mmcv_ops.py").read_text()
    package(tmp_path, {"_cvtk_mmcv_ops.py": hook})
    for _ in ("gone", "broken"):
        result = python(
            "import _cvtk_mmcv_ops, json; print('fine')", "-S", path=[tmp_path]
        )
        assert (result.stdout.strip(), result.stderr) == ("fine", "")
        result = python(
            "import _cvtk_mmcv_ops, mmcv._ext", "-S", path=[tmp_path], check=False
        )
        assert (
            result.stderr.strip().splitlines()[-1]
            == "ModuleNotFoundError: No module named 'mmcv._ext'"
        )
        package(tmp_path, {"cvtk/__init__.py": "this is not Python"})


def test_without_torchvision_the_remedy_is_told(tmp_path):
    package(tmp_path, {"mmcv/__init__.py": "", "torch/__init__.py": ""})
    code = "import _cvtk_mmcv_ops, mmcv._ext"
    last = (
        python(code, "-S", path=[ROOT / "src", tmp_path], check=False)
        .stderr.strip()
        .splitlines()[-1]
    )
    assert last.startswith(
        "ModuleNotFoundError: mmcv.ops needs torchvision, which is not installed"
    )
    assert last.endswith("pip install torchvision")

    package(
        tmp_path,
        {
            "torchvision/__init__.py": "raise RuntimeError('operator torchvision::nms does not exist')"
        },
    )
    last = (
        python(code, "-S", path=[ROOT / "src", tmp_path], check=False)
        .stderr.strip()
        .splitlines()[-1]
    )
    assert last.startswith(
        "ImportError: mmcv.ops needs torchvision, which is installed but does not work"
    )


@ours
def test_other_operators_say_how_to_get_them():
    import mmcv.ops
    import torch

    from cvtk.errors import InstallError

    boxes = torch.rand(2, 5)
    with pytest.raises(
        InstallError, match=r"'nms_rotated'.*MMCV_WITH_OPS=1 pip install"
    ):
        mmcv.ops.nms_rotated(boxes, torch.rand(2), 0.5)
    assert not hasattr(mmcv._ext, "__path__")


@ours
def test_every_promised_operator_is_real():
    from mmcv import _ext

    for name in _ext.__all__:
        assert getattr(_ext, name).__module__.startswith(("cvtk.ops.", "mmcv._ext"))
        assert getattr(_ext, name).__name__ == name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


def test_wheel_carries_the_hook_and_the_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"_cvtk_mmcv_ops.pth", "_cvtk_mmcv_ops.py", "cvtk/ops/ext.py"} <= names
    templates = {
        f"cvtk/{f.relative_to(ROOT).as_posix()}"
        for f in (ROOT / "templates").rglob("*.j2")
    }
    assert templates <= names


def test_installing_and_uninstalling(wheel, tmp_path):
    """In a bare environment that sees mmcv and torch of this one, but none of its .pth files."""
    venv.create(tmp_path / "env", with_pip=False)
    executable = (
        tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    )
    pip = [sys.executable, "-m", "pip", "--python", str(executable)]

    def run(code, check=True):
        return python(code, executable=executable, path=[SITE], check=check)

    def no_hook():
        return (
            run("import sys; print('_cvtk_mmcv_ops' in sys.modules)").stdout.strip()
            == "False"
        )

    assert no_hook()
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", wheel], check=True, capture_output=True
    )
    assert run(USES_NMS).stdout.strip() == "[1] mmcv._ext True"
    subprocess.run(
        [*pip, "uninstall", "-q", "-y", "cvtk"], check=True, capture_output=True
    )
    assert no_hook()
    assert "No module named 'mmcv._ext'" in run("import mmcv.ops", check=False).stderr
    assert not list((tmp_path / "env").rglob("*cvtk*"))
