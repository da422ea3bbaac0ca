"""What `cvtk doctor` finds, on this installation and on broken ones."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from cvtk import doctor

needs_mmdet = pytest.mark.skipif(
    importlib.util.find_spec("mmdet") is None, reason="needs MMDetection"
)


def test_light_checks_tell_versions():
    assert doctor.check_python().detail.startswith(
        f"{sys.version_info.major}.{sys.version_info.minor}."
    )
    assert doctor.check_cvtk().status == "ok"
    check = doctor.check_pycocotools()
    assert check.status == "ok" and "masks work" in check.detail


@needs_mmdet
def test_a_sound_installation_passes():
    results = {r.name: r for r in doctor.examine()}
    assert list(results) == list(doctor.CHECKS)
    assert all(r.remedy for r in results.values() if r.status == "fail")
    assert doctor.can_train(list(results.values())), results
    assert "cpu" in results["torch"].detail
    assert (
        "operators" in results["mmcv"].detail and "nms works" in results["mmcv"].detail
    )
    assert "instance segmentation" in results["mmdet"].detail


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch", "torch"),
        ("torchvision", "torchvision"),
        ("mmengine", "mmengine"),
        ("mmdet", "mmdet"),
    ],
)
def test_a_package_that_is_not_there_comes_with_the_command(monkeypatch, module, name):
    monkeypatch.setitem(
        sys.modules, module, None
    )  # what Python itself understands as "not there"
    check = doctor.CHECKS[name]()
    assert (check.status, check.detail, check.remedy) == (
        "fail",
        "not installed",
        doctor.INSTALL,
    )


@pytest.mark.parametrize("name", ["mim", "hotcoco"])
def test_what_training_does_not_need_is_a_note(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    check = doctor.CHECKS[name]()
    assert check.status == "note" and check.remedy.startswith("pip install ")


def test_what_measuring_and_figures_need_is_one_note(monkeypatch):
    assert "pandas" in doctor.check_analysis().detail
    for name in ("pandas", "scipy"):
        monkeypatch.setitem(sys.modules, name, None)
    check = doctor.check_analysis()
    assert (check.status, check.detail) == ("note", "not installed: pandas, scipy")
    assert check.remedy.endswith('pip install "cvtk[analysis]"')


def test_a_module_that_breaks_on_import_is_reported_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "mmengine").mkdir()
    (tmp_path / "mmengine" / "__init__.py").write_text(
        "raise OSError('libfoo.so: wrong version\\nsecond line')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mmengine", raising=False)
    check = doctor.check_mmengine()
    assert check.status == "fail"
    assert (
        check.detail
        == "installed, but does not import: OSError: libfoo.so: wrong version"
    )


def test_a_check_that_breaks_does_not_take_the_report_away(monkeypatch):
    def broken():
        raise ValueError("no idea")

    monkeypatch.setattr(
        doctor, "CHECKS", {"python": doctor.check_python, "torch": broken}
    )
    first, second = doctor.examine()
    assert (
        first.status == "ok"
        and second.status == "fail"
        and "ValueError: no idea" in second.detail
    )
    report = doctor.report([first, second])
    assert report["can_train"] is False and report["checks"][1]["name"] == "torch"


@needs_mmdet
def test_mmcv_without_operators_names_the_remedy():
    # Without the finder that cvtk's start-up hook appends; no compiled mmcv must be there either.
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'MmcvExt' not in str(f)];"
        "from cvtk.doctor import check_mmcv; c = check_mmcv(); print(c.status, '|', c.detail, '|', c.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    status, detail, remedy = (part.strip() for part in done.stdout.strip().split("|"))
    if status == "ok":
        assert "compiled operators" in detail
    else:
        assert "no mmcv._ext" in detail and remedy.endswith("--no-deps cvtk")
