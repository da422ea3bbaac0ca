"""A model as OpenVINO's intermediate representation (NAME.xml and NAME.bin), run by OpenVINO."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import FileError, ModelError, OptionError, one_line
from cvtk.exported.description import KEY, read_description
from cvtk.exported.kinds import Arrays, ExportedFile, threads
from cvtk.extras import require
from cvtk.io import is_file

# By itself OpenVINO rounds to bfloat16 on processors that have it, and so finds slightly other objects.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class OpenvinoFile(ExportedFile):
    """An open file.

    Args:
        file: `NAME.xml`; `NAME.bin` lies beside it.
        device: "auto" or "cpu".

    Raises:
        FileError: One of the two is missing.
        InstallError: OpenVINO is not installed.
        ModelError: It is no file that cvtk exported, or OpenVINO cannot read it.
        OptionError: It shall run on a GPU.
    """

    def __init__(self, file: Path, device: str = "auto") -> None:
        weights = file.with_suffix(".bin")
        if not is_file(weights):
            raise FileError(
                f"{file} needs its weights beside it: {weights} is missing.",
                "Keep the two files together.",
            )
        if device not in ("auto", "cpu"):
            raise OptionError(
                f"--device {device}: models for OpenVINO run on the processor here.",
                "Use cpu; or, for a GPU, a model in ONNX or the weights.",
            )
        self._file = file
        require("openvino", str(file), "openvino")
        import openvino

        self._runtime = openvino
        try:
            self._model = self._runtime.Core().read_model(file)
        except Exception as error:  # RuntimeError, with what its reader says
            raise self._broken(error) from None
        has_text = self._model.has_rt_info([KEY])
        text = self._model.get_rt_info([KEY]).astype(str) if has_text else None
        self.description = read_description(file, text)

    @cached_property
    def _compiled(self) -> Any:
        """The model for this processor, made as it is first run: it takes seconds."""
        try:
            settings = {**SETTINGS, "INFERENCE_NUM_THREADS": threads()}
            return self._runtime.Core().compile_model(self._model, "CPU", settings)
        except Exception as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self._file} is not a model that OpenVINO {self._runtime.__version__} can run: {one_line(error)}",
            "Export the weights again: cvtk export NAME.pth --to openvino",
        )

    def run(self, picture: NDArray[np.uint8], score: float) -> Arrays:
        """What the network finds in a picture; see `ExportedFile.run`."""
        inputs = {"image": picture[None], "score": np.array(score, dtype=np.float32)}
        found = self._compiled.create_infer_request().infer(inputs)
        return {
            output.any_name: np.array(values)  # a copy: the request's memory is its own
            for output, values in found.items()
        }
