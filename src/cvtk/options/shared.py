"""Types of options, and options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cvtk.declare import Checked, Option, Pixels

PathLike: TypeAlias = str | Path
Task: TypeAlias = Literal["segm", "det"]
Images: TypeAlias = PathLike | Pixels | Sequence[PathLike | Pixels]


@dataclass(frozen=True)
class _Device(Checked):
    _: KW_ONLY
    device: Annotated[
        str,
        Option(
            help="auto (a GPU if there is one), cpu or cuda:0",
            pattern=re.compile(r"auto|cpu|mps|cuda(:\d+)?"),
            expected="auto, cpu, cuda or cuda:0",
        ),
    ] = "auto"


@dataclass(frozen=True)
class _Force(Checked):
    _: KW_ONLY
    force: Annotated[bool, Option(help="replace results that exist")] = False


@dataclass(frozen=True)
class _Tiles(Checked):
    _: KW_ONLY
    tile: Annotated[
        int | Literal["auto"] | None,
        Option(
            help="cut large images into tiles of so many pixels",
            minimum=32,
            maximum=100_000,
            word="auto",
            word_help="auto: as in training",
            unset="never",
            in_vanilla=False,
        ),
    ] = None
    overlap: Annotated[
        float,
        Option(help="of tiles", minimum=0, maximum=0.9, in_vanilla=False),
    ] = 0.2


@dataclass(frozen=True)
class _Trust(Checked):
    _: KW_ONLY
    trust_weights: Annotated[
        bool,
        Option(
            help="load weights that may run code; only from people you trust",
            in_vanilla=False,
        ),
    ] = False
