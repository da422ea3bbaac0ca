"""Files that cannot be used: one line says why."""

from __future__ import annotations

import sys

import pytest

import cvtk
from cvtk.errors import FileError, InstallError, ModelError, OptionError
from cvtk.exported.onnx import OnnxFile

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")


@pytest.fixture
def foreign(tmp_path):
    """Writes an ONNX file that gives what it is given, for some version of the operators."""

    def write(opset=17):
        helper, number = onnx.helper, onnx.TensorProto.FLOAT
        ends = [helper.make_tensor_value_info(name, number, [1]) for name in "ab"]
        node = helper.make_node("Identity", ["a"], ["b"])
        graph = helper.make_graph([node], "foreign", ends[:1], ends[1:])
        versions = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=8)
        file = tmp_path / "foreign.onnx"
        file.write_bytes(model.SerializeToString())
        return file

    return write


def one_line(error):
    return "\n" not in str(error.value)


def test_a_file_of_somebody_else(foreign):
    with pytest.raises(ModelError, match=r"was not exported by cvtk") as error:
        cvtk.create_model(foreign())
    assert one_line(error)


def test_operators_that_the_runtime_does_not_know(foreign):
    with pytest.raises(ModelError, match=r"opset.*lower --opset") as error:
        cvtk.create_model(foreign(opset=99))
    assert one_line(error)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08" * 1000], ids=len)
def test_what_is_no_model(tmp_path, content):
    file = tmp_path / "broken.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken.onnx") as error:
        cvtk.create_model(file)
    assert one_line(error)


def test_no_file(tmp_path):
    with pytest.raises(FileError, match=r"no exported model at .*none.onnx"):
        cvtk.create_model(tmp_path / "none.onnx")


def test_no_onnxruntime(foreign, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InstallError, match=r'pip install "cvtk\[onnx\]"') as error:
        cvtk.create_model(foreign())
    assert one_line(error)


def test_a_device_that_is_not_there(foreign):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is one")
    with pytest.raises(OptionError, match=r"--device cuda:0: onnxruntime cannot"):
        OnnxFile(foreign(), "cuda:0")
