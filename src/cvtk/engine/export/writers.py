"""Traced networks as files: ONNX, OpenVINO's representation and TorchScript, each with its description."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvtk import __version__
from cvtk.exported.description import KEY, Description, ImageForm
from cvtk.exported.kinds import Kind
from cvtk.extras import Extra


@dataclass(frozen=True)
class Traced:
    """A network as PyTorch has recorded it.

    Attributes:
        network: The record.
        inputs: Those that it was recorded with.
        outputs: Names of what it gives.
        image: The picture that it takes.
        opset: The version of ONNX's operators to use.
    """

    network: Any
    inputs: tuple[Any, ...]
    outputs: list[str]
    image: ImageForm
    opset: int


def write_onnx(traced: Traced, description: Description, file: Path) -> None:
    """Writes ONNX, with the description in its metadata."""
    import onnx

    _write_plain_onnx(traced, file)
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {KEY: description.text()})
    model.producer_name, model.producer_version = "cvtk", __version__
    model.doc_string = (
        f"Finds {', '.join(description.classes)}. Licence: {description.licence}"
    )
    onnx.save(model, file)


def _write_plain_onnx(traced: Traced, file: Path) -> None:
    import torch

    torch.onnx.export(
        traced.network,
        traced.inputs,
        file,
        dynamo=False,  # what depends on data, such as the number of objects, is not for the newer exporter
        opset_version=traced.opset,
        input_names=["image", "score"],
        output_names=traced.outputs,
        dynamic_axes=_dynamic_axes(traced.outputs, traced.image),
    )


def _dynamic_axes(outputs: list[str], image: ImageForm) -> dict[str, dict[int, str]]:
    """The sides of arrays that differ from image to image, and what to call them."""
    axes = {name: {0: "objects"} for name in outputs}
    if image.keep_ratio and not image.canvas:
        axes["image"] = {1: "height", 2: "width"}
    return axes


def write_openvino(traced: Traced, description: Description, file: Path) -> None:
    """Writes OpenVINO's representation, NAME.xml and NAME.bin, with the description in its `rt_info`."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        _write_plain_onnx(traced, plain)
        model = openvino.Core().read_model(plain)
        model.set_rt_info(description.text(), [KEY])
        # Weights of 16 bits would halve the file, and find slightly other objects.
        openvino.save_model(model, file, compress_to_fp16=False)


def write_torchscript(traced: Traced, description: Description, file: Path) -> None:
    """Writes TorchScript, with the description in a file inside it."""
    import torch

    frozen = torch.jit.freeze(traced.network.eval())  # runs quicker
    torch.jit.save(frozen, str(file), _extra_files={KEY: description.text()})


WRITERS: dict[Kind, Callable[[Traced, Description, Path], None]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "torchscript": write_torchscript,
}
# What writing and trying a file of each kind needs beside PyTorch and MMDetection: the extra, and its modules.
NEEDS: dict[Kind, tuple[Extra, tuple[str, ...]]] = {
    "onnx": ("export", ("onnx", "onnxruntime")),
    "openvino": ("openvino", ("openvino",)),
    "torchscript": ("export", ()),
}
