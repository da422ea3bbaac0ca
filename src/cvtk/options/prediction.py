"""The options of `evaluate` and `inference`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from cvtk.declare import Option
from cvtk.options.shared import Images, PathLike, _Device, _Force, _Tiles, _Trust


@dataclass(frozen=True)
class TrainedModel(_Trust):
    """What `evaluate` and `inference` of a script open their model from."""

    model_weights: Annotated[
        PathLike, Option(help="weights that train wrote, NAME.pth")
    ]
    label: Annotated[
        PathLike | None,
        Option(help="class names to compare with", unset="of the weights"),
    ] = None


@dataclass(frozen=True)
class EvaluateOptions(_Tiles, _Device, _Force):
    """An evaluation of trained weights on an annotated set."""

    data: Annotated[PathLike, Option(help="COCO file to evaluate on")]
    output: Annotated[
        PathLike | None,
        Option(help="folder for the results", unset="nothing is written", needed=True),
    ] = None


@dataclass(frozen=True)
class PredictOptions(_Tiles, _Device):
    """What is predicted, and how."""

    data: Annotated[
        Images,
        Option(
            help="image, folder, text file of paths, or COCO file",
            word="-",
            word_help="also a pattern, a video, or - for paths on stdin",
            pixels=True,
        ),
    ]
    _: KW_ONLY
    score: Annotated[
        float | None,
        Option(
            help="lowest score that is drawn and written",
            minimum=0,
            maximum=1,
            unset="those of the weights, else 0.3",
            vanilla_default=0.3,
        ),
    ] = None
    batch_size: Annotated[
        int,
        Option(
            help="images or tiles at once", minimum=1, maximum=4096, in_vanilla=False
        ),
    ] = 1
    top_k: Annotated[
        int | None,
        Option(
            help="most objects per image",
            minimum=1,
            maximum=100_000,
            unset="all",
            in_vanilla=False,
        ),
    ] = None


@dataclass(frozen=True)
class InferenceOptions(PredictOptions, _Force):
    """Predictions that are drawn and written."""

    output: Annotated[PathLike, Option(help="folder for the results")]
    _: KW_ONLY
    resume: Annotated[
        bool,
        Option(help="go on after a stop", in_vanilla=False),
    ] = False
    draw: Annotated[
        Literal["masks", "outlines", "boxes", "no"],
        Option(help="masks, outlines, boxes or no drawings", in_vanilla=False),
    ] = "masks"
