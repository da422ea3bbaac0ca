"""The one place that opens exported files of any kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cvtk.errors import FileError
from cvtk.exported.kinds import SUFFIXES, ExportedFile, Kind
from cvtk.exported.onnx import OnnxFile
from cvtk.exported.openvino import OpenvinoFile
from cvtk.exported.torchscript import TorchscriptFile
from cvtk.io import is_file

_OPENED_BY: dict[Kind, Callable[[Path, str], ExportedFile]] = {
    "onnx": OnnxFile,
    "openvino": OpenvinoFile,
    "torchscript": TorchscriptFile,
}


def open_file(file: Path, device: str = "auto") -> ExportedFile:
    """Opens an exported file by the end of its name.

    Args:
        file: Such as `NAME.onnx`.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        FileError: It is missing.
        InstallError: What runs it is not installed.
        ModelError: It is no file that cvtk exported, or it cannot be run.
        OptionError: There is no such device.
    """
    [kind] = [kind for kind, suffix in SUFFIXES.items() if suffix == file.suffix]
    if not is_file(file):
        raise FileError(
            f"There is no exported model at {file}.",
            f"Check the path, or export one: cvtk export NAME.pth --to {kind}",
        )
    return _OPENED_BY[kind](file, device)
