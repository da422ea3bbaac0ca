"""What an exported file says of itself, as JSON in its metadata: all that is needed to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from cvtk.data.intensity import Intensity
from cvtk.errors import ModelError

KEY = "cvtk"  # of the metadata
FORMAT = 1  # grows when older versions of cvtk could not use the file


class ImageForm(msgspec.Struct, frozen=True):
    """The picture that the network takes: (1, height, width, 3) uint8, red, green, blue.

    Attributes:
        scale: Width and height in pixels that the image is scaled to. With `keep_ratio` the larger is the limit
            of its longer side, the smaller that of its shorter side.
        keep_ratio: Whether it keeps its proportions.
        canvas: Width and height of the picture in whose upper left corner it is put; None: as large as it is.
        fill: Red, green and blue of what is left of the canvas, 0 to 255.
        resampling: How it is scaled: by linear interpolation as OpenCV does it, from four pixels, or as Pillow does,
            which takes more where an image becomes smaller.
    """

    scale: tuple[int, int]
    keep_ratio: bool
    canvas: tuple[int, int] | None = None
    fill: tuple[int, int, int] = (0, 0, 0)
    resampling: Literal["opencv", "pillow"] = "opencv"


class MaskForm(msgspec.Struct, frozen=True):
    """The masks that the network gives: (N, h, w) float32, smaller than the image.

    Attributes:
        covers: What a mask covers: "box", its own box; "image", the image; "input", all of the picture that the
            network took, of which the image is the upper left part.
        threshold: Values above it are inside.
        stride: Pixels of the picture per pixel of the mask, of one that covers the input: it is first enlarged
            to the picture, and then to the image.
        rounded_up: Whether the size of the whole picture, enlarged to the image, is rounded up, as some
            architectures of MMDetection do.
    """

    covers: Literal["box", "image", "input"]
    threshold: float
    stride: int = 1
    rounded_up: bool = False


class Description(msgspec.Struct, frozen=True):
    """What an exported file says of itself.

    Attributes:
        format: Of this description.
        cvtk: The version that wrote it.
        architecture: As `cvtk models` calls it, or the name of its detector.
        task: "segm" (masks and boxes) or "det" (boxes).
        classes: Names of the classes, in the order of the labels.
        category_ids: COCO id of each.
        image: The picture that the network takes.
        masks: The masks that it gives; None for a detector.
        lowest_score: Lowest score of the objects that it gives at all, 0 to 1.
        score: Lowest score of the objects to show, where nobody says another.
        class_scores: The same by class name, as it was chosen in the training; empty where it is `score` for all.
        intensity: How images of more than 8 bits are scaled; see `cvtk.data.intensity.to_8_bits`.
        page: Of a TIFF of several pages, from 1.
        channels: One or three of the channels of a TIFF, from 1; empty: the only one, or red, green and blue.
        tile: Pixels of a tile of a large image in which objects are as large as in training; None: not known.
        bits: Of the numbers that its convolutions compute with: 32 (floating point) or 8 (whole).
        licence: Under which the file may be used, in the words of who exported it.
    """

    format: int
    cvtk: str
    architecture: str
    task: Literal["segm", "det"]
    classes: list[str]
    category_ids: list[int]
    image: ImageForm
    masks: MaskForm | None
    lowest_score: float
    score: float
    licence: str
    class_scores: dict[str, float] = msgspec.field(default_factory=dict)
    intensity: Intensity = "depth"
    page: int = 1
    channels: list[int] = msgspec.field(default_factory=list)
    tile: int | None = None
    bits: Literal[8, 32] = 32

    def text(self) -> str:
        """The description as it stands in the metadata."""
        return msgspec.json.encode(self).decode()


def read_description(file: Path, text: str | None) -> Description:
    """The description of an exported file.

    Args:
        file: The file, for messages.
        text: What it has under `KEY` in its metadata; None: nothing.

    Raises:
        ModelError: There is none, it is damaged, or from a newer cvtk.
    """
    if text is None:
        raise ModelError(
            f"{file} was not exported by cvtk: it does not say what its classes are and what it takes.",
            "Export the weights: cvtk export NAME.pth",
        )
    try:
        found = msgspec.json.decode(text, type=Description)
    except msgspec.MsgspecError as error:
        newer = _format(text) > FORMAT
        raise _unusable(file, "needs a newer cvtk" if newer else str(error)) from None
    if found.format > FORMAT:
        raise _unusable(file, "needs a newer cvtk")
    names, ids = found.classes, found.category_ids
    if not names or len({*names}) < len(names) or len({*ids}) < len(names):
        raise _unusable(file, "its classes are not different names with an id each")
    return found


def _format(text: str) -> int:
    try:
        return int(msgspec.json.decode(text)["format"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return 0


def _unusable(file: Path, problem: str) -> ModelError:
    return ModelError(
        f"{file} cannot be used: {problem}.",
        "Export the weights again, or install the cvtk that exported it.",
    )
