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
            help="auto, cpu, cuda:0 or mps",
            pattern=re.compile(r"auto|cpu|mps|cuda(:\d+)?"),
            expected="auto, cpu, cuda, cuda:0 or mps",
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
            help="cut into tiles of so many pixels",
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
    tta: Annotated[
        bool,
        Option(help="see images mirrored and enlarged too", in_vanilla=False),
    ] = False


CHANNELS = re.compile(r"[1-9]\d{0,2}(,[1-9]\d{0,2},[1-9]\d{0,2})?", re.ASCII)


@dataclass(frozen=True)
class _Stack(Checked):
    _: KW_ONLY
    page: Annotated[
        int | None,
        Option(
            help="page of TIFF files",
            minimum=1,
            maximum=1_000_000,
            unset="as in training, else 1",
            in_vanilla=False,
        ),
    ] = None
    channels: Annotated[
        str | None,
        Option(
            help="channels of TIFF files, such as 3,1,2 or 2",
            pattern=CHANNELS,
            expected="three numbers from 1 on, such as 3,1,2, or one",
            unset="as in training",
            in_vanilla=False,
        ),
    ] = None


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
