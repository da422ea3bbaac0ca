"""The frames of a video, one after the other, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import DataError, InstallError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}
)


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        number: From 1.
        seconds: When it is shown, from the beginning of the video.
        pixels: (H, W, 3) in RGB, turned as the video is displayed.
    """

    number: int
    seconds: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Video:
    """A video file that OpenCV can read.

    Attributes:
        path: The file.
        count: How many frames it says it has; 0 where it does not say.
        rate: Frames per second.
    """

    path: Path
    count: int
    rate: float

    @classmethod
    def open(cls, path: Path) -> Video:
        """Looks at a video.

        Raises:
            DataError: It cannot be read.
            InstallError: OpenCV is not installed.
        """
        cv2 = _opencv()
        capture = cv2.VideoCapture(str(path))
        try:
            if not capture.isOpened() or not capture.grab():
                raise DataError(
                    f"{path} cannot be read as a video.",
                    "Open it in a player, or convert it to MP4 (H.264).",
                )
            count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            rate = float(capture.get(cv2.CAP_PROP_FPS))
            return cls(path, count, rate if 0 < rate < 1000 else 25.0)
        finally:
            capture.release()

    def frames(self) -> Iterator[Frame]:
        """Reads the frames in their order; one at a time is in memory."""
        cv2 = _opencv()
        capture = cv2.VideoCapture(str(self.path))
        number, seconds = 0, 0.0
        try:
            while True:
                there, pixels = capture.read()
                if not there:
                    return
                number += 1
                told = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                # Files without times tell 0 for each frame; then the rate says when it is shown.
                if number == 1 or told > seconds:
                    seconds = told
                else:
                    seconds = (number - 1) / self.rate
                yield Frame(number, seconds, np.ascontiguousarray(pixels[..., ::-1]))
        finally:
            capture.release()


def is_video(path: Path) -> bool:
    """Whether a name is that of a video, and not of a folder."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise InstallError(
            "Videos are read with OpenCV, which is not installed.",
            'Install it with: pip install "cvtk[mmdet]"',
        ) from None
    return cv2
