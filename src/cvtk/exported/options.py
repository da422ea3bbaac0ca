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
    int8: Annotated[
        PathLike | None,
        Option(
            help="images of the training (a folder, a list, a COCO file): compute with whole numbers of 8 bits, "
            "rounded so that they suit these",
            unset="32 bits",
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
        found = []
        suffix = SUFFIXES[self.to]
        if self.output and Path(self.output).suffix != suffix:
            found.append(
                f"{self.output} does not end in {suffix}. Call it NAME{suffix}."
            )
        if self.int8 is not None and self.to != "onnx":
            found.append(
                f"--int8 is for --to onnx, not {self.to}. Give one of the two."
            )
        return found

    def beside(self, weights: Path) -> Path:
        """The file to write where no other was named: NAME.onnx, or NAME_int8.onnx."""
        bits = "" if self.int8 is None else "_int8"
        return weights.with_name(f"{weights.stem}{bits}{SUFFIXES[self.to]}")
