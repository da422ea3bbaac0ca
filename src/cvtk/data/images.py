"""The one reader of images: their pixels, their true size as displayed, and whether they are whole.

One rule for rotated photographs: an image is used as it is displayed, its EXIF orientation applied, in
JPEG, PNG, TIFF and WebP alike. Sizes here are of the displayed image.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvtk.data import pixels, tiff
from cvtk.data.reading import AS_SEEN, USUAL, Reading
from cvtk.errors import CvtkError, DataError, FileError
from cvtk.io import atomic_write, is_file, read_bytes

S = TypeVar("S")
T = TypeVar("T")

_ORIENTATION = 0x0112  # the EXIF tag
# Scaled to a network's input, a picture more elongated than this has no pixel left across.
_LONGEST_RATIO = 400

# Names of folders and a file, none of them "." or "..": they cannot lead anywhere else.
_PART = r"(?!\.{1,2}(/|$))[^\\/:\0]+"
_PLAIN = re.compile(f"{_PART}(/{_PART})*")

_TELL = {
    "missing": "the image is missing",
    "truncated": "the image is cut off",
    "unreadable": "the image cannot be read",
}


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image file.

    Attributes:
        path: The file.
        width: Pixels as displayed; 0 where it cannot be read.
        height: Pixels as displayed; 0 where it cannot be read.
        orientation: EXIF orientation, 1 (upright) to 8.
        format: As Pillow calls it: "JPEG", "PNG", ...
        deep: Whether a screen does not show it as it is: more than 8 bits, or channels that are not grey or RGB.
        dark: Whether it is nearly black if the upper 8 of 16 bits are taken; told where it was decoded.
        error: Why it cannot be used: `"missing"`, `"truncated"`, `"unreadable"`, or `""`.
        detail: The error in the words of the reader.
        content: Hash of the file's bytes, hexadecimal.
        thumb: 17 x 16 pixels in grey for comparing looks, or None.
    """

    path: Path
    width: int = 0
    height: int = 0
    orientation: int = 1
    format: str = ""
    deep: bool = False
    dark: bool = False
    error: str = ""
    detail: str = ""
    content: str = ""
    thumb: NDArray[np.uint8] | None = None

    @property
    def opencv_differs(self) -> bool:
        """Whether OpenCV, with which MMDetection reads, does not see the image as it is displayed.

        OpenCV 4.12 turns JPEG, PNG and TIFF by EXIF, WebP not at all, and fails on TIFF turned by 90 degrees.
        """
        if self.format == "TIFF":
            return self.orientation >= 5
        return self.format == "WEBP" and self.orientation != 1

    @property
    def trouble(self) -> str:
        """The error in words; empty where there is none."""
        return f"{_TELL[self.error]} ({self.detail})" if self.error else ""


def resolve(folder: Path, file_name: str) -> Path:
    """The path of an image from the name in the annotations, which may not lead out of the folder.

    Backslashes, as tools on Windows write them, count as slashes where no file has them in its name.
    Links inside the folder are followed, for it was the user who put them there.

    Args:
        folder: The folder of the annotation file.
        file_name: As the annotations say.

    Raises:
        DataError: The name is empty, or leads out of the folder.
    """
    if _PLAIN.fullmatch(file_name):
        return folder / file_name
    name = file_name
    if "\\" in name and not (
        os.sep == "/" and "\0" not in name and is_file(folder / name)
    ):
        name = name.replace("\\", "/")
    # Compared as absolute paths: a JSON file named without its folder lies in ".".
    root = Path(os.path.normpath(folder.absolute()))
    place = Path(os.path.normpath(root / name)) if "\0" not in name else root
    if place == root or not place.is_relative_to(root):
        raise DataError(
            f"The file name {file_name[:200]!r} leads out of the data folder {folder}.",
            "Put the images below the folder of the JSON file, and name them relative to it.",
        )
    return folder / place.relative_to(root)


def read_image(path: str | Path, reading: Reading = USUAL) -> NDArray[np.uint8]:
    """Reads an image as it is displayed: turned as its EXIF orientation says, in RGB.

    Transparency is ignored.

    Args:
        path: JPEG, PNG, TIFF, BMP, WebP or GIF (its first frame).
        reading: Which page and channels of a TIFF, and how values of more than 8 bits are scaled.

    Returns:
        (height, width, 3), red, green, blue.

    Raises:
        FileError: The file is missing, or no regular file.
        DataError: It is no image, is cut off, or has no such page or channels.
    """
    return decode_image(read_bytes(path), str(path), reading)


def decode_image(
    data: bytes,
    name: str,
    reading: Reading = USUAL,
    *,
    formats: tuple[str, ...] | None = None,
    most_pixels: float = math.inf,
) -> NDArray[np.uint8]:
    """Reads an image from the bytes of its file; see `read_image`.

    Args:
        data: The content of the file.
        name: What to call it in messages.
        reading: As for `read_image`.
        formats: Those that are taken, as Pillow calls them; None: all that it reads.
        most_pixels: Of the image; a larger one is refused before it is decoded.

    Raises:
        DataError: It is no image, is cut off, has too many pixels, or has no such page or channels.
    """
    try:
        return pixels.decode(data, reading, formats=formats, most_pixels=most_pixels)
    except CvtkError as error:
        raise DataError(f"{name}: {error.message}", error.remedy) from None
    except Exception as error:  # readers raise whatever a broken file leads to
        raise DataError(
            f"{name}: {_explain(error, data)[1]}.",
            "Replace the image, or leave it out.",
        ) from None


def write_image(image: Any, path: Path, *, force: bool = False, **options: Any) -> None:
    """Writes a Pillow image; the final name appears only when all of it is there.

    It is packed in memory first: Pillow, writing to a file by itself, takes no notice of a disk that is full
    after half of it.

    Args:
        image: The image.
        path: Its suffix says the format.
        force: Whether a file of that name may be replaced.
        **options: As for Pillow's `save`.

    Raises:
        FileError: The file exists, cannot be written, or its suffix is not one that Pillow writes.
    """
    from PIL import Image

    form = Image.registered_extensions().get(path.suffix.lower())
    if form not in Image.SAVE:
        raise FileError(
            f"{path} does not end like an image that can be written.",
            "Use .png or .jpg.",
        )
    with atomic_write(path, force=force) as part:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        part.write_bytes(buffer.getvalue())


def _explain(error: Exception, data: bytes | None) -> tuple[str, str]:
    """The kind of error (as in `ImageFacts`), and its reason in words."""
    if data == b"":
        return "unreadable", "the file is empty"
    text = str(error)
    if "cannot identify" in text:
        return "unreadable", "cannot identify image file"
    if "imagecodecs" in text:
        return "unreadable", f'{text}: pip install "cvtk[tiff]"'
    cut = "truncated" in text.lower() or isinstance(error, EOFError)
    return "truncated" if cut else "unreadable", text or type(error).__name__


def probe(path: Path, *, decode: bool = True, look: bool = False) -> ImageFacts:
    """Opens an image file.

    Args:
        path: The file.
        decode: Whether to decode it all, which finds truncated files; else its header is read only.
        look: Whether to compute `content` and `thumb`.

    Returns:
        The facts; `error` tells of a file that cannot be used. Never raises for a bad file.
    """
    if not is_file(path):
        return _probe_no_file(path)
    try:
        data = read_bytes(path) if decode or look else None
    except CvtkError as error:
        return ImageFacts(path, error="unreadable", detail=error.message)
    content = ""
    if look and data is not None:
        content = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        return _measure(path, data, content, decode, look)
    except Exception as error:  # Pillow's readers raise whatever a broken file leads to
        kind, detail = _explain(error, data)
        return ImageFacts(path, error=kind, detail=detail, content=content)


def _probe_no_file(path: Path) -> ImageFacts:
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if there:  # opening a pipe would wait for ever
        detail = "it is a folder, a pipe or a device"
        return ImageFacts(path, error="unreadable", detail=detail)
    return ImageFacts(path, error="missing", detail="no such file")


def _measure(
    path: Path, data: bytes | None, content: str, decode: bool, look: bool
) -> ImageFacts:
    """The facts of an image that can be read; raises as Pillow does."""
    from PIL import Image

    if path.suffix.lower() in tiff.SUFFIXES:
        stack = tiff.look(path if data is None else data)
        if stack is not None and not stack.is_plain:
            return _measure_stack(path, data, content, stack)
    with pixels.open_image(path if data is None else data) as image:
        width, height = image.size
        orientation = orientation_of(image)
        if image.format == "JPEG":
            # All the data is still read, but an eighth of the pixels computed.
            image.draft("L", (max(width // 8, 17), max(height // 8, 17)))
        deep, dark = pixels.is_deep(image), False
        if decode:
            image.load()
            dark = deep and pixels.is_dark(image)
        thumb = None
        if look:
            small = image.convert("L").resize((17, 16), Image.Resampling.BOX)
            thumb = np.asarray(small)
        # Pillow has turned TIFF already.
        form = image.format or ""
        if orientation >= 5 and form != "TIFF":
            width, height = height, width
    return ImageFacts(
        path, width, height, orientation, form, deep, dark, content=content, thumb=thumb
    )


def _measure_stack(
    path: Path, data: bytes | None, content: str, stack: tiff.Stack
) -> ImageFacts:
    """The facts of a TIFF with other channels than a screen has; its first page is decoded where `data` is given."""
    from PIL import Image

    thumb, dark = None, False
    if data is not None:
        as_stored = Reading(to_be_seen=True)
        brightest = pixels.decode(data, as_stored).max()
        dark = stack.is_deep and bool(0 < brightest < pixels.DARK)
        seen = Image.fromarray(pixels.decode(data, AS_SEEN))
        small = seen.convert("L").resize((17, 16), Image.Resampling.BOX)
        thumb = np.asarray(small)
    size = (stack.width, stack.height, stack.orientation)
    return ImageFacts(path, *size, "TIFF", True, dark, content=content, thumb=thumb)


def orientation_of(image: Any) -> int:
    """The EXIF orientation of a Pillow image, 1 to 8; broken EXIF data counts as none, as in OpenCV."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        return int(value) if value in range(1, 9) else 1
    except Exception:
        return 1


def image_size(path: Path) -> tuple[int, int]:
    """The displayed (width, height) of an image in pixels, from its header.

    Raises:
        FileError: The file is missing or no image.
    """
    facts = probe(path, decode=False)
    if facts.error:
        raise FileError(
            f"{path}: {facts.trouble}.", "Put the image there, or remove it."
        )
    return facts.width, facts.height


def too_thin(width: int, height: int) -> str:
    """Why no network can use an image of this size in pixels; empty where one can."""
    if max(width, height) <= _LONGEST_RATIO * max(min(width, height), 1):
        return ""
    return (
        f"the image is {width} x {height} pixels, more than {_LONGEST_RATIO} times longer than wide, "
        "which a network cannot use"
    )


def in_parallel(
    function: Callable[[S], T],
    items: Iterable[S],
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[T]:
    """`map` over threads, in order, with a bounded number under way so that memory stays flat.

    Args:
        function: What is done with each item, in one of the threads.
        items: Taken one by one by the caller's own thread.
        workers: Threads; as many as there are processors, at most 8, where left out.
        ahead: Most items that are under way at once; four per thread where left out.
    """
    count = workers or min(8, os.cpu_count() or 1)
    most = ahead or 4 * count
    iterator = iter(items)
    with ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(function, item) for item in islice(iterator, most)]
        try:
            while waiting:
                done = waiting.pop(0)
                waiting.extend(
                    pool.submit(function, item) for item in islice(iterator, 1)
                )
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()
