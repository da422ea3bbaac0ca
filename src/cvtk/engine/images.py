"""How images reach a network: turned as they are displayed, whatever their format."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from numpy.typing import NDArray

from cvtk.data.images import probe, read_image, too_thin
from cvtk.data.intensity import Intensity
from cvtk.data.pixels import DARK
from cvtk.data.reading import TOO_DARK, USUAL, Reading
from cvtk.data.sources import ImageSource
from cvtk.data.tiles import Tile
from cvtk.engine.pictures import Picture
from cvtk.engine.poses import Instance, Poses
from cvtk.errors import DataError
from cvtk.log import logger
from cvtk.recipe.nodes import each_dict

_REMEDY = "Mend it, or leave it out."

# Formats that have 8 bits, and that OpenCV, with which MMDetection reads, turns by EXIF as they are displayed.
_PLAIN = {".jpg", ".jpeg", ".bmp"}

# Formats of which OpenCV and Pillow make the same pixels. Pillow also tells what is cut off.
_LOSSLESS = {".png", ".tif", ".tiff", ".bmp"}


# Bytes of decoded images that each worker of a training keeps: 67 photographs of 1333 x 1000 pixels.
KEPT = 256 * 2**20


class ReadImage(LoadImageFromFile):  # type: ignore[misc]
    """MMDetection's first step, and for images that OpenCV would not turn or would clip, cvtk's own reader.

    It can keep what it has decoded for the next epoch. What comes first stays: to let the oldest go would keep nothing
    of a set that is larger than the limit, since each epoch goes through all of it.

    Args:
        intensity: See `Reading`, as also the next two.
        page: Of a TIFF.
        channels: Of a TIFF.
        keep: Bytes of decoded images to keep in this process.
        **own: As for MMDetection's step.
    """

    def __init__(
        self,
        intensity: Intensity = "depth",
        page: int = 1,
        channels: Sequence[int] = (),
        keep: int = 0,
        **own: Any,
    ) -> None:
        super().__init__(**own)
        self.reading = Reading(intensity, page, tuple(channels))
        self._room = keep
        self._kept: dict[str, NDArray[Any]] = {}

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Reads the image at `img_path` into `img`, (H, W, 3) in BGR."""
        path = results["img_path"]
        kept = self._kept.get(path)
        if kept is not None:  # later steps may write into what they get
            size = kept.shape[:2]
            results.update(img=kept.copy(), img_shape=size, ori_shape=size)
            return results
        read = self._read(results)
        if read is not None and read["img"].nbytes <= self._room:
            self._kept[path] = read["img"].copy()
            self._room -= read["img"].nbytes
        return read

    def _read(self, results: dict[str, Any]) -> dict[str, Any] | None:
        path = Path(results["img_path"])
        if path.suffix.lower() in _PLAIN or not self._is_special(path):
            read: dict[str, Any] | None = super().transform(results)
            return read
        image = read_image(path, self.reading)[..., ::-1].copy()
        results["img"] = image.astype("float32") if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def _is_special(self, path: Path) -> bool:
        """Whether OpenCV would not turn an image, or not scale it as it is wanted.

        Of 16 bits it takes the upper 8; floating-point values it clips, so that an image of values up to 1 is black.
        """
        if self.reading != Reading(self.reading.intensity):
            return True
        facts = probe(path, decode=False)
        return facts.opencv_differs or facts.deep


def read_as_displayed(node: Any, reading: Reading = USUAL, keep: int = 0) -> None:
    """Puts `ReadImage` in the place of MMDetection's step, everywhere in a configuration.

    Args:
        node: The configuration, or a part; changed in place.
        reading: How files are read.
        keep: Bytes of decoded images that each such step may keep.
    """
    for part in each_dict(node):
        if str(part.get("type")).rsplit(".", 1)[-1] == "LoadImageFromFile":
            part.update(type=ReadImage, **reading.notes())
            if keep:
                part["keep"] = keep


class Reader:
    """Reads images and prepares them as a network's configuration says of test images; any thread may.

    Args:
        pipeline: The steps of its test data set.
        reading: How files were read in the training.
        poses: The poses of images, for a network that takes them.
    """

    def __init__(
        self, pipeline: Any, reading: Reading = USUAL, poses: Poses | None = None
    ) -> None:
        from mmcv.transforms import Compose

        self._reading, self._poses = reading, poses
        self._told_of_dark_images = False
        steps = copy.deepcopy(pipeline)
        read_as_displayed(steps, reading)
        steps = [step for step in steps if step["type"] != "LoadAnnotations"]
        self._steps = Compose(steps).transforms

    def read(self, source: ImageSource) -> Picture:
        """Reads an image and prepares it.

        Raises:
            DataError: It cannot be read, or no network can use it.
        """
        instances = self._poses.of(source) if self._poses else []
        bgr = self.load(source)
        return Picture(source, bgr, self.prepare(bgr, source.path, instances))

    def open(self, source: ImageSource) -> Picture:
        """Reads an image that is to be cut into tiles, without preparing it. Raises as `read` does."""
        return Picture(source, self.load(source), None)

    def cut(self, picture: Picture, tile: Tile) -> Picture:
        """A tile of an image as an image of its own, prepared."""
        part = picture.bgr[tile.top : tile.bottom, tile.left : tile.right]
        part = np.ascontiguousarray(part)
        sample = self.prepare(part, picture.source.path)
        return Picture(picture.source, part, sample)

    def load(self, source: ImageSource) -> NDArray[Any]:
        """The pixels (H, W, 3) of an image in BGR. Raises as `read` does."""
        if source.pixels is not None:
            bgr: NDArray[Any] = source.pixels[..., ::-1].copy()
        else:
            bgr = self._load_file(source.path, source.reading or self._reading)
        height, width = bgr.shape[:2]
        problem = too_thin(width, height)
        if problem:
            raise DataError(f"{source.path}: {problem}.", _REMEDY)
        return bgr

    def _load_file(self, path: Path, reading: Reading) -> NDArray[Any]:
        suffix = path.suffix.lower()
        if suffix in _LOSSLESS:
            bgr: NDArray[Any] = read_image(path, reading)[..., ::-1]
            if suffix != ".bmp" and reading.intensity == "depth":
                self._tell_if_dark(path, bgr)
            return bgr
        problem = "" if is_whole_jpeg(path) else probe(path).trouble
        if problem:
            raise DataError(f"{path}: {problem}.", _REMEDY)
        [step] = [step for step in self._steps if isinstance(step, ReadImage)]
        try:
            bgr = (step.transform({"img_path": str(path)}) or {})["img"]
        except Exception:  # OpenCV raises whatever a broken file leads to
            raise DataError(f"{path} cannot be read as an image.", _REMEDY) from None
        return bgr

    def _tell_if_dark(self, path: Path, bgr: NDArray[Any]) -> None:
        """Says once that images are nearly black, if their 16 bits are why."""
        if self._told_of_dark_images or bgr.max() >= DARK:
            return
        if probe(path).dark:
            self._told_of_dark_images = True
            logger.warning(f"{path} {TOO_DARK}")

    def prepare(
        self, bgr: NDArray[Any], path: Path, instances: Sequence[Instance] = ()
    ) -> Any:
        """What the pipeline makes of pixels (H, W, 3) in BGR; `path` is noted in it.

        Args:
            bgr: The pixels.
            path: Of the image.
            instances: What is known of its objects.
        """
        size = bgr.shape[:2]
        results: Any = {"img_path": str(path), "img_id": 0, "instances": instances}
        results.update(img=bgr, img_shape=size, ori_shape=size)
        for step in self._steps:
            if not isinstance(step, ReadImage):
                results = step(results)
        return results


def is_whole_jpeg(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does, so that nothing of it was cut off.

    Other files need to be decoded to know, and so do JPEGs with something behind their end.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(-2, os.SEEK_END)
            return start == b"\xff\xd8" and file.read() == b"\xff\xd9"
    except (OSError, ValueError):
        return False
