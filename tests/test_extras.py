"""What is said where a part of cvtk is not installed."""

from __future__ import annotations

import sys

import pytest

from cvtk.errors import InstallError
from cvtk.extras import can_draw, require


def test_what_is_installed_passes():
    require("onnx", "fruit.onnx", "numpy", "PIL.Image")


def test_what_is_missing_comes_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    with pytest.raises(InstallError) as error:
        require("analysis", "Measuring", "numpy", "scipy.spatial")
    assert str(error.value) == (
        "Measuring needs scipy.spatial, which is not installed."
        ' Install it with: pip install "cvtk[analysis]"'
    )


def test_figures_are_left_out_without_matplotlib(monkeypatch, caplog):
    assert can_draw("The figures are")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not can_draw("The figures are")
    assert "The figures are left out: matplotlib" in caplog.text
    assert 'pip install "cvtk[analysis]"' in caplog.text
