"""Where the drawings of an inference go: a picture for each image, or a video."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cvtk.data.videos import Video
from cvtk.errors import FileError
from cvtk.io import atomic_write
from cvtk.results import Result
from cvtk.visual.overlays import Style


class Drawings(Protocol):
    """Draws in several threads, and writes in order."""

    def draw(self, result: Result, pixels: NDArray[np.uint8]) -> Any:
        """Draws a result on its image (H, W, 3) in RGB; any thread may."""

    def write(self, drawn: Any) -> None:
        """Takes what `draw` returned, in the order of the images."""


class NoDrawings:
    """Nothing is drawn."""

    def draw(self, result: Result, pixels: NDArray[np.uint8]) -> None:
        """Draws nothing."""

    def write(self, drawn: None) -> None:
        """Writes nothing."""


class PictureFiles:
    """A picture for each image, in a folder.

    Args:
        folder: Which.
        style: How objects are drawn.
        force: Whether files may be replaced.
    """

    def __init__(self, folder: Path, style: Style, *, force: bool) -> None:
        self._folder = folder
        self._style = style
        self._force = force

    def draw(self, result: Result, pixels: NDArray[np.uint8]) -> None:
        """Draws and writes a picture under the image's name."""
        result.save_to_img(
            self._folder, force=self._force, image=pixels, style=self._style
        )

    def write(self, drawn: None) -> None:
        """Has nothing left to do."""


class DrawnVideo:
    """A video (MP4) of the drawn frames; it appears under its name when it is complete.

    Args:
        video: The original, which tells how many frames are shown per second.
        file: The file to write.
        style: How objects are drawn.
        force: Whether it may be replaced.
    """

    def __init__(self, video: Video, file: Path, style: Style, *, force: bool) -> None:
        self._video = video
        self._file = file
        self._style = style
        self._force = force
        self._open = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> DrawnVideo:
        self._part = self._open.enter_context(
            atomic_write(self._file, force=self._force)
        )
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.release()
        self._open.__exit__(*error)

    def draw(self, result: Result, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The drawn frame (H, W, 3), blue, green, red."""
        return np.asarray(result.draw(pixels, style=self._style))[..., ::-1].copy()

    def write(self, drawn: NDArray[np.uint8]) -> None:
        """Adds a frame.

        Raises:
            FileError: OpenCV cannot write the video.
        """
        import cv2

        if self._writer is None:
            height, width = drawn.shape[:2]
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(
                str(self._part), codec, self._video.rate, (width, height)
            )
            if not self._writer.isOpened():
                raise FileError(
                    f"{self._file} cannot be written: this OpenCV has no encoder for MP4.",
                    "Install opencv-python, or take the video apart into images first.",
                )
        self._writer.write(drawn)
