"""OpenVINO's representation that cannot be used: one line says why."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import cvtk
from cvtk.errors import FileError, InstallError, ModelError, OptionError
from cvtk.exported.opening import open_file

openvino = pytest.importorskip("openvino", reason="needs openvino")


@pytest.fixture
def foreign(tmp_path):
    """A model that gives what it is given, and says nothing of itself."""
    operators = openvino.opset13
    image = operators.parameter([1], np.float32)
    model = openvino.Model([operators.relu(image)], [image])
    openvino.save_model(model, tmp_path / "foreign.xml")
    return tmp_path / "foreign.xml"


def test_a_file_of_somebody_else(foreign):
    with pytest.raises(ModelError, match=r"was not exported by cvtk") as error:
        cvtk.create_model(foreign)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "<net", "<annotation>4</annotation>"])
def test_what_is_no_model(foreign, content):
    foreign.write_text(content)
    with pytest.raises(ModelError, match=r"foreign.xml is not a model") as error:
        cvtk.create_model(foreign)
    assert "\n" not in str(error.value)


def test_weights_that_are_missing(foreign):
    foreign.with_suffix(".bin").unlink()
    with pytest.raises(FileError, match=r"foreign.bin is missing. Keep the two"):
        cvtk.create_model(foreign)


def test_no_file(tmp_path):
    with pytest.raises(FileError, match=r"no exported model.*--to openvino"):
        cvtk.create_model(tmp_path / "none.xml")


def test_no_openvino(foreign, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InstallError, match=r'pip install "cvtk\[openvino\]"'):
        cvtk.create_model(foreign)


def test_a_device_that_it_does_not_use(foreign):
    with pytest.raises(OptionError, match=r"--device cuda:0: models for OpenVINO"):
        open_file(foreign, "cuda:0")
