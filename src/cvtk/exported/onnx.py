"""A model in ONNX, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import ModelError, OptionError, one_line
from cvtk.exported.description import KEY, read_description
from cvtk.exported.kinds import Arrays, ExportedFile, threads
from cvtk.extras import require


class OnnxFile(ExportedFile):
    """An open ONNX file.

    Args:
        file: `NAME.onnx`.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        InstallError: onnxruntime is not installed.
        ModelError: It is no ONNX file that cvtk exported, or onnxruntime cannot run it.
        OptionError: There is no such device.
    """

    def __init__(self, file: Path, device: str = "auto") -> None:
        require("onnx", str(file), "onnxruntime")
        import onnxruntime as runtime

        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.log_severity_level = 3  # errors; warnings are of no use to who predicts
        providers = _providers(runtime, device)
        try:
            self._session = runtime.InferenceSession(file, options, providers=providers)
        except Exception as error:  # onnxruntime has a class for each kind of failure
            raise ModelError(
                f"{file} is not a model that onnxruntime {runtime.__version__} can run: {one_line(error)}",
                "Export the weights again; for an opset that it does not know, with a lower --opset.",
            ) from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.description = read_description(file, metadata.get(KEY))

    def run(self, picture: NDArray[np.uint8], score: float) -> Arrays:
        """What the network finds in a picture; see `ExportedFile.run`."""
        names = [output.name for output in self._session.get_outputs()]
        inputs = {"image": picture[None], "score": np.array(score, dtype=np.float32)}
        return dict(zip(names, self._session.run(names, inputs), strict=True))


def _providers(runtime: Any, device: str) -> list[Any]:
    """What onnxruntime calls its devices, the wanted one first.

    Raises:
        OptionError: There is no such device here.
    """
    cuda = "CUDAExecutionProvider"
    there = cuda in runtime.get_available_providers()
    if device == "cpu" or (device == "auto" and not there):
        return ["CPUExecutionProvider"]
    if device == "auto" or (device.startswith("cuda") and there):
        index = int(device.partition(":")[2] or 0)
        return [(cuda, {"device_id": index}), "CPUExecutionProvider"]
    raise OptionError(
        f"--device {device}: onnxruntime cannot use it here.",
        "Use cpu; or, for a GPU of NVIDIA: pip install onnxruntime-gpu",
    )
