"""The one finder of images that a user passes to inference: files, folders, lists, a video, or pixels."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.coco import read_images
from cvtk.data.images import in_parallel, resolve
from cvtk.data.pixels import to_rgb
from cvtk.data.reading import USUAL, Reading
from cvtk.data.types import Id
from cvtk.data.videos import Video, is_video
from cvtk.declare import Pixels
from cvtk.errors import DataError, FileError
from cvtk.io import IMAGE_SUFFIXES, find_images, is_file, read_text

_READ = "JPEG, PNG, TIFF, BMP, WebP and GIF are read."


@dataclass(frozen=True)
class ImageSource:
    """An image to predict.

    Attributes:
        path: Its file; of pixels without a file their name, of a frame the video.
        name: What it is called in what is written: relative to the folder given, and unique.
        id: Of a COCO file the image's id, else a number counted from 1.
        pixels: (H, W, 3) in RGB, where there is no file to read them from.
        seconds: When a frame is shown, from the beginning of its video.
        reading: How its file is read; None: as those of the training.
        listed_in: The COCO file that names it, which may tell more of it; None where there is none.
    """

    path: Path
    name: str
    id: Id
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    seconds: float | None = None
    reading: Reading | None = None
    listed_in: Path | None = None


def find_inputs(data: Any, reading: Reading | None = None) -> list[ImageSource] | Video:
    """Finds the images or the video that a user means; see `list_images`.

    Args:
        data: What the user names.
        reading: How images are read.

    Raises:
        FileError: There is no such image, or none at all.
        DataError: A file is not what its name says, or `data` is none of it.
    """
    if isinstance(data, (str, Path)) and is_video(Path(data)):
        if not is_file(Path(data)):
            raise FileError(f"{data}: no such file.", "Check the path.")
        return Video.open(Path(data))
    return list_images(data, reading)


def frames_of(video: Video) -> Iterator[ImageSource]:
    """The frames of a video as images; a thread reads a few ahead."""
    frames = video.frames()
    read = in_parallel(lambda _: next(frames, None), count(), workers=1, ahead=4)
    for frame in takewhile(lambda frame: frame is not None, read):
        assert frame is not None
        yield ImageSource(
            path=video.path,
            name=f"{video.path.stem}_{frame.number:06d}.jpg",
            id=frame.number,
            pixels=frame.pixels,
            seconds=frame.seconds,
        )


def list_images(data: Any, reading: Reading | None = None) -> list[ImageSource]:
    """Finds the images that a user means, none twice.

    Args:
        data: An image, a folder (with all below it), a pattern such as `photos/*.jpg`, a text file of paths
            (one per line, relative to the text file), `-` for such lines on standard input (relative to the
            current folder), a COCO file; an array (H, W, 3) in RGB or a Pillow image; or a list of paths,
            arrays and Pillow images.
        reading: How images are read.

    Raises:
        FileError: There is no such image, or none at all.
        DataError: A file is not what its name says, or `data` is none of it.
    """
    if isinstance(data, Pixels) or not isinstance(data, (str, Path)):
        items = [data] if isinstance(data, Pixels) else _items_of(data)
        found = _number(items, "the list given", reading or Reading())
    else:
        found = _in_path(data)
    return [replace(image, reading=reading) for image in found]


def _in_path(data: str | Path) -> list[ImageSource]:
    path = Path(data)
    if str(data) == "-":
        return _number(_paths_in(sys.stdin.read(), Path()), "the list on stdin")
    if not _exists(path):
        if glob.has_magic(str(path)):
            return _in_pattern(path)
        raise FileError(f"{path}: no such file or folder.", "Check the path.")
    if path.is_dir():
        return _in_folder(path)
    if path.suffix.lower() == ".json":
        return _in_coco(path)
    if path.suffix.lower() == ".txt":
        return _number(_in_text(path), str(path))
    return _number([path], str(path))


def _items_of(data: object) -> list[Any]:
    """The paths, arrays and Pillow images of what can be listed; anything else is refused."""
    if isinstance(data, Iterable) and not isinstance(data, bytes):
        items = list(data)
        odd = [
            i
            for i in items
            if not isinstance(i, (str, Path)) and not isinstance(i, Pixels)
        ]
        if not odd:
            return [item if isinstance(item, Pixels) else Path(item) for item in items]
        data = odd[0]
    raise DataError(
        f"Images are given by their paths, as NumPy arrays or as Pillow images, not as {type(data).__name__}.",
        "Name a file or a folder, or pass an array (height, width, 3) in RGB.",
    )


def _in_folder(folder: Path) -> list[ImageSource]:
    found = find_images(folder)
    if not found:
        raise FileError(f"There are no images in {folder}.", _READ)
    return [
        ImageSource(path, path.relative_to(folder).as_posix(), number)
        for number, path in enumerate(found, 1)
    ]


def _in_pattern(pattern: Path) -> list[ImageSource]:
    """The images that a pattern names, called by their place below the folder where its wildcards begin."""
    fixed = list(pattern.parent.parts)
    while any(glob.has_magic(part) for part in fixed):
        fixed.pop()
    folder = Path(*fixed)
    try:
        named = sorted(folder.glob(str(pattern.relative_to(folder))))
    except ValueError as error:
        raise FileError(f"{pattern} is not a pattern of names: {error}.") from None
    found = [
        path
        for path in named
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and is_file(path)
    ]
    if not found:
        raise FileError(f"No image is named like {pattern}.", _READ)
    return [
        ImageSource(path, path.relative_to(folder).as_posix(), number)
        for number, path in enumerate(found, 1)
    ]


def _in_coco(file: Path) -> list[ImageSource]:
    dataset = read_images(file)
    if not dataset.images:
        raise FileError(f"{file} names no images.", "Is this the right file?")
    found: dict[Path, Id] = {}
    for image in dataset.images:
        place = resolve(dataset.folder, image.file_name)
        _require_image(place, str(file))
        found.setdefault(place, image.id)
    names = _unique_names(list(found))
    return [
        ImageSource(path, names[path], id_, listed_in=file)
        for path, id_ in found.items()
    ]


def _in_text(file: Path) -> list[Path]:
    text = read_text(file)
    if "\0" in text:
        raise DataError(
            f"{file} is not a text file.", "It lists one image path per line."
        )
    return _paths_in(text, file.parent)


def _paths_in(text: str, folder: Path) -> list[Path]:
    lines = [line.strip() for line in text.splitlines()]
    return [folder / line for line in lines if line]


def _number(
    items: list[Any], where: str, reading: Reading = USUAL
) -> list[ImageSource]:
    """Numbers images from 1, files that are named twice once."""
    paths = dict.fromkeys(item for item in items if not isinstance(item, Pixels))
    for path in paths:
        _require_image(path, where)
    pixels: dict[Path, NDArray[np.uint8]] = {}
    for item in items:
        if isinstance(item, Pixels):
            name = Path(f"image_{len(pixels) + 1:04d}.png")
            pixels[name] = _pixels_of(item, name.stem, reading)
    in_order = iter(pixels)
    files = dict.fromkeys(
        next(in_order) if isinstance(item, Pixels) else item for item in items
    )
    if not files:
        raise FileError(f"{where} names no images.", _READ)
    names = _unique_names(list(files))
    return [
        ImageSource(file, names[file], number, pixels.get(file))
        for number, file in enumerate(files, 1)
    ]


def _pixels_of(image: Any, name: str, reading: Reading) -> NDArray[np.uint8]:
    try:
        return to_rgb(image, reading)
    except DataError as error:
        raise DataError(f"{name} of those given: {error.message}") from None
    except (ValueError, TypeError, OSError):
        shape = getattr(image, "shape", None) or getattr(image, "size", None)
        raise DataError(
            f"{name} of those given is not an image: its shape is {shape}.",
            "Pass (height, width, 3) in RGB, or (height, width) in grey.",
        ) from None


def _require_image(path: Path, where: str) -> None:
    if is_file(path):
        return
    named = "" if where == str(path) else f" (named in {where})"
    if _exists(path):
        raise FileError(
            f"{path}{named} is a folder, a pipe or a device, not an image.",
            "Name an image.",
        )
    raise FileError(f"There is no image {path}{named}.", "Check the path.")


def _exists(path: Path) -> bool:
    """Whether anything of this name is there; names that nothing can have count as none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _unique_names(paths: list[Path]) -> dict[Path, str]:
    """File names, numbered where images of several folders have the same."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = path.name, 2
        while name in taken:
            name = f"{path.stem}_{number}{path.suffix}"
            number += 1
        taken.add(name)
        names[path] = name
    return names
