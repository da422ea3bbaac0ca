"""A model in TorchScript, run by PyTorch and torchvision, without MMDetection."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import InstallError, ModelError, OptionError, one_line
from cvtk.exported.description import KEY, read_description
from cvtk.exported.kinds import Arrays, ExportedFile


class TorchscriptFile(ExportedFile):
    """An open file.

    Args:
        file: `NAME.torchscript`.
        device: "auto" or "cpu".

    Raises:
        InstallError: PyTorch or torchvision is not installed.
        ModelError: It is no file that cvtk exported, or PyTorch cannot read it.
        OptionError: It shall run on a GPU.
    """

    def __init__(self, file: Path, device: str = "auto") -> None:
        if device not in ("auto", "cpu"):
            # The devices of numbers that the network makes for itself are fixed in the file.
            raise OptionError(
                f"--device {device}: models in TorchScript run on the processor alone.",
                "Use cpu; or, for a GPU, a model in ONNX or the weights.",
            )
        self._torch = _torch(file)
        extra = {KEY: ""}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that TorchScript is not developed on
                self._model = self._torch.jit.load(
                    str(file), map_location="cpu", _extra_files=extra
                ).eval()
        except Exception as error:  # RuntimeError, with what its reader says
            raise ModelError(
                f"{file} is not a model that PyTorch {self._torch.__version__} can run: {one_line(error)}",
                "Export the weights again: cvtk export NAME.pth --to torchscript",
            ) from None
        text: Any = extra[KEY]
        if isinstance(text, bytes):
            text = text.decode()
        self.description = read_description(file, text or None)

    def run(self, picture: NDArray[np.uint8], score: float) -> Arrays:
        """What the network finds in a picture; see `ExportedFile.run`."""
        torch = self._torch
        names = ["boxes", "scores", "labels", "masks"]
        with torch.inference_mode():
            found = self._model(torch.from_numpy(picture)[None], torch.tensor(score))
        return {
            name: values.numpy() for name, values in zip(names, found, strict=False)
        }


def _torch(file: Path) -> Any:
    try:
        import torch
        import torchvision  # noqa: F401 - its operators are in the file
    except ImportError as error:
        raise InstallError(
            f"{file} needs {error.name}, which is not installed.",
            "Install it with: pip install torch torchvision",
        ) from None
    return torch
