"""Image files: their true size as displayed, whether they are whole, and what they look like.

One rule for rotated photographs: an image is used as it is displayed, its EXIF orientation applied, as
OpenCV and so MMDetection read it. Sizes here are of the displayed image.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cvtk.errors import DataError, FileError

S = TypeVar("S")
T = TypeVar("T")

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
)
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image file.

    Attributes:
        path: The file.
        width: Pixels as displayed; 0 where it cannot be read.
        height: Pixels as displayed; 0 where it cannot be read.
        orientation: EXIF orientation, 1 (upright) to 8.
        error: Why it cannot be used: `"missing"`, `"truncated"`, `"unreadable"`, or `""`.
        detail: The error in the words of the reader.
        content: Hash of the file's bytes, hexadecimal.
        thumb: 17 x 16 pixels in grey for comparing looks, or None.
    """

    path: Path
    width: int = 0
    height: int = 0
    orientation: int = 1
    error: str = ""
    detail: str = ""
    content: str = ""
    thumb: NDArray[np.uint8] | None = None


def resolve(folder: Path, file_name: str) -> Path:
    """The path of an image from the name in the annotations.

    Backslashes, as tools on Windows write them, count as slashes where no file has them in its name.

    Args:
        folder: The folder of the annotation file.
        file_name: As the annotations say.

    Raises:
        DataError: The name is empty, or leads out of the folder.
    """
    name = file_name
    if "\\" in name and not (
        os.sep == "/" and "\0" not in name and is_file(folder / name)
    ):
        name = name.replace("\\", "/")
    path = Path(os.path.normpath(folder / name)) if name and "\0" not in name else None
    if (
        path is None
        or not path.is_relative_to(os.path.normpath(folder))
        or path == Path(os.path.normpath(folder))
    ):
        raise DataError(
            f"The file name {file_name[:200]!r} leads out of the data folder {folder}.",
            "Put the images below the folder of the JSON file, and name them relative to it.",
        )
    return path


def is_file(path: Path) -> bool:
    """Whether there is such a file; names that no file can have count as none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the file system
        return False


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted."""
    return sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
    )


def probe(path: Path, *, decode: bool = True, look: bool = False) -> ImageFacts:
    """Opens an image file.

    Args:
        path: The file.
        decode: Whether to decode it all, which finds truncated files; else its header is read only.
        look: Whether to compute `content` and `thumb`.

    Returns:
        The facts; `error` tells of a file that cannot be used. Never raises for a bad file.
    """
    from PIL import Image

    try:
        data = path.read_bytes() if decode or look else None
    except (FileNotFoundError, NotADirectoryError):
        return ImageFacts(path, error="missing", detail="no such file")
    except (OSError, ValueError) as error:
        return ImageFacts(path, error="unreadable", detail=str(error))
    content = (
        hashlib.blake2b(data, digest_size=16).hexdigest()
        if look and data is not None
        else ""
    )
    # Large scans are no attack here; the limit of absurd sizes is Pillow's own, twice this warning's.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data) if data is not None else path) as image:
            width, height = image.size
            orientation = _orientation(image)
            if image.format == "JPEG":
                # All the data is still read, but an eighth of the pixels computed.
                image.draft("L", (max(width // 8, 17), max(height // 8, 17)))
            if decode:
                image.load()
            thumb = None
            if look:
                thumb = np.asarray(
                    image.convert("L").resize((17, 16), Image.Resampling.BOX)
                )
            if (
                orientation >= 5 and image.format != "TIFF"
            ):  # Pillow has turned TIFF already
                width, height = height, width
        return ImageFacts(
            path, width, height, orientation, content=content, thumb=thumb
        )
    except FileNotFoundError:
        return ImageFacts(path, error="missing", detail="no such file")
    except (
        Exception
    ) as error:  # Pillow's readers raise whatever a broken file leads them to
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        kind = "truncated" if cut else "unreadable"
        detail = (
            "cannot identify image file"
            if "cannot identify" in str(error)
            else str(error)
        )
        return ImageFacts(
            path, error=kind, detail=detail or type(error).__name__, content=content
        )


def _orientation(image: object) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)  # type: ignore[attr-defined]
        return int(value) if value in range(1, 9) else 1
    except Exception:  # broken EXIF data counts as none, as in OpenCV
        return 1


def image_size(path: Path) -> tuple[int, int]:
    """The displayed (width, height) of an image in pixels, from its header.

    Raises:
        FileError: The file is missing or no image.
    """
    facts = probe(path, decode=False)
    if facts.error:
        raise FileError(
            f"{path}: {_TELL[facts.error]} ({facts.detail}).",
            "Put the image there, or remove it.",
        )
    return facts.width, facts.height


_TELL = {
    "missing": "the image is missing",
    "truncated": "the image is cut off",
    "unreadable": "the image cannot be read",
}


def in_parallel(
    function: Callable[[S], T], items: Iterable[S], *, workers: int | None = None
) -> Iterator[T]:
    """`map` over threads, in order, with a bounded number under way so that memory stays flat."""
    count = workers or min(8, os.cpu_count() or 1)
    iterator = iter(items)
    with ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(function, item) for item in islice(iterator, 4 * count)]
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


def difference_hash(thumb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """256 bits that tell where the picture gets brighter to the right, as (32,) uint8.

    The difference hash of N. Krawetz ("Kind of like that", 2013) on 16 x 16 comparisons.
    """
    bits = thumb[:, 1:].astype(np.int16) > thumb[:, :-1].astype(np.int16)
    return np.packbits(bits.ravel())


def near_duplicates(
    thumbs: list[NDArray[np.uint8] | None], *, most: int = 10
) -> list[tuple[int, int]]:
    """Pairs of images that look alike.

    Two images look alike where at most `most` of 256 bits of their difference hashes differ and their
    thumbnails differ by under 8 of 255 grey levels on average. Two such hashes share one of 16 bands of
    16 bits at least, so only images that share a band are compared. Flat images are left out.

    Args:
        thumbs: (16, 17) grey thumbnails; None is left out.
        most: How many bits may differ, under 16.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    usable = [i for i, t in enumerate(thumbs) if t is not None and float(t.std()) > 4]
    if len(usable) < 2:
        return []
    stack = np.stack([t for i in usable if (t := thumbs[i]) is not None])
    hashes = np.stack([difference_hash(t) for t in stack])
    bands = hashes.reshape(len(usable), 16, 2).astype(np.uint16)
    keys = bands[:, :, 0] << 8 | bands[:, :, 1]
    found: set[tuple[int, int]] = set()
    for band in range(16):
        order = np.argsort(keys[:, band], kind="stable")
        cuts = np.flatnonzero(np.diff(keys[order, band])) + 1
        for group in np.split(order, cuts):
            for place, i in enumerate(group[:-1]):
                # A common band (a sky, a white table) may be shared by thousands: compare the nearest 200.
                others = group[place + 1 : place + 201]
                bits = np.unpackbits(hashes[others] ^ hashes[i], axis=1).sum(axis=1)
                for j in others[bits <= most]:
                    if np.abs(stack[i].astype(np.int16) - stack[j]).mean() < 8:
                        a, b = usable[int(i)], usable[int(j)]
                        found.add((min(a, b), max(a, b)))
    return sorted(found)
