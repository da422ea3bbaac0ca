"""TorchScript that cannot be used: one line says why."""

from __future__ import annotations

import sys

import pytest

import cvtk
from cvtk.errors import InstallError, ModelError, OptionError
from cvtk.exported.opening import open_file

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("torchvision", reason="needs torchvision")


@pytest.fixture
def foreign(tmp_path):
    """A model that gives what it is given, and says nothing of itself."""
    traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(1))
    traced.save(str(tmp_path / "foreign.torchscript"))
    return tmp_path / "foreign.torchscript"


def test_a_file_of_somebody_else(foreign):
    with pytest.raises(ModelError, match=r"was not exported by cvtk") as error:
        cvtk.create_model(foreign)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model(foreign, content):
    foreign.write_bytes(content)
    with pytest.raises(ModelError, match=r"foreign.torchscript is not a") as error:
        cvtk.create_model(foreign)
    assert "\n" not in str(error.value)


def test_no_torchvision(foreign, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(InstallError, match=r"needs torchvision, which is not"):
        cvtk.create_model(foreign)


def test_a_device_that_it_does_not_use(foreign):
    with pytest.raises(OptionError, match=r"--device cuda:0: models in TorchScript"):
        open_file(foreign, "cuda:0")
