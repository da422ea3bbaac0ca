"""What `Model.export` and `cvtk export` take; see `cvtk.options`."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cvtk.declare import Option
from cvtk.exported.kinds import SUFFIXES, Kind
from cvtk.options import PathLike
from cvtk.options.shared import _Force


@dataclass(frozen=True)
class ExportOptions(_Force):
    """An export of trained weights, for where PyTorch and MMDetection are not installed."""

    to: Annotated[Kind, Option(help="kind of file to write", kind="library")] = "onnx"
    _: KW_ONLY
    output: Annotated[
        PathLike | None,
        Option(
            help="file to write, NAME.onnx, NAME.xml or NAME.torchscript",
            unset="beside the weights",
            kind="library",
        ),
    ] = None
    score: Annotated[
        float | None,
        Option(
            help="lowest score to show, noted in the file",
            minimum=0,
            maximum=1,
            unset="those of the weights, else 0.3",
            kind="library",
        ),
    ] = None
    licence: Annotated[
        str,
        Option(
            help="licence of the weights, noted in the file",
            pattern=re.compile(r"\S.*"),
            expected="a line of text",
            kind="library",
        ),
    ] = "not stated"
    opset: Annotated[
        int,
        Option(
            help="version of ONNX's operators",
            minimum=16,
            maximum=20,
            kind="library",
        ),
    ] = 17

    def contradictions(self) -> list[str]:
        """Sentences on values that do not go together; empty where all do."""
        suffix = SUFFIXES[self.to]
        if self.output and Path(self.output).suffix != suffix:
            return [f"{self.output} does not end in {suffix}. Call it NAME{suffix}."]
        return []
