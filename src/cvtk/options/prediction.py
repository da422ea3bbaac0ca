"""The options of `evaluate` and `inference`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from cvtk.declare import Option
from cvtk.options.shared import (
    Images,
    PathLike,
    _Device,
    _Force,
    _Stack,
    _Tiles,
    _Trust,
)


@dataclass(frozen=True)
class TrainedModel(_Trust):
    """What `evaluate` and `inference` of a script open their model from."""

    model_weights: Annotated[PathLike, Option(help="weights of train, NAME.pth")]
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
class PredictOptions(_Tiles, _Stack, _Device):
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
            help="lowest score to show",
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
        Option(help="masks, outlines, boxes or no", in_vanilla=False),
    ] = "masks"


@dataclass(frozen=True)
class NextOptions(_Tiles, _Device, _Force):
    """A choice of images to label next; `cvtk data next` and `Model.choose_next` take it, scripts do not."""

    pool: Annotated[
        Images,
        Option(
            help="images to choose from: folder, text file of paths, or COCO file",
            kind="library",
            pixels=True,
        ),
    ]
    count: Annotated[
        int,
        Option(help="images to choose", minimum=1, maximum=1_000_000, kind="library"),
    ] = 20
    _: KW_ONLY
    labelled: Annotated[
        PathLike | None,
        Option(
            help="images that are labelled already: COCO file, folder or text file",
            unset="none",
            kind="library",
        ),
    ] = None
    batch_size: Annotated[
        int,
        Option(help="images or tiles at once", minimum=1, maximum=4096, kind="library"),
    ] = 1
    predictions: Annotated[
        PathLike | None,
        Option(
            help="COCO file for what is found in the chosen images, to be corrected",
            unset="nothing is written",
            kind="library",
        ),
    ] = None
    score: Annotated[
        float | None,
        Option(
            help="lowest score of the predictions",
            minimum=0,
            maximum=1,
            unset="those of the weights, else 0.3",
            kind="library",
        ),
    ] = None
