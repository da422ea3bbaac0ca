"""The one finder of images that a user passes to inference: a file, a folder, a list, a COCO file, or paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvtk.data.coco import read_images
from cvtk.data.images import resolve
from cvtk.data.types import Id
from cvtk.errors import DataError, FileError
from cvtk.io import find_images, is_file, read_text

_READ = "JPEG, PNG, TIFF, BMP, WebP and GIF are read."


@dataclass(frozen=True)
class ImageSource:
    """An image to predict.

    Attributes:
        path: Its file.
        name: What it is called in what is written: relative to the folder given, and unique.
        id: Of a COCO file the image's id, else a number counted from 1.
    """

    path: Path
    name: str
    id: Id


def list_images(data: str | Path | Iterable[str | Path]) -> list[ImageSource]:
    """Finds the images that a user means, none twice.

    Args:
        data: An image, a folder (with all below it), a text file of paths (one per line, relative to the
            text file), a COCO file, or several paths.

    Raises:
        FileError: There is no such image, or none at all.
        DataError: A file is not what its name says, or `data` is no path.
    """
    if not isinstance(data, (str, Path)):
        return _number(_paths_of(data), "the list given")
    path = Path(data)
    if not _exists(path):
        raise FileError(f"{path}: no such file or folder.", "Check the path.")
    if path.is_dir():
        return _in_folder(path)
    if path.suffix.lower() == ".json":
        return _in_coco(path)
    if path.suffix.lower() == ".txt":
        return _number(_in_text(path), str(path))
    return _number([path], str(path))


def _paths_of(data: object) -> list[Path]:
    """The paths of a list, or of what can be listed; anything else is refused."""
    if isinstance(data, Iterable) and not isinstance(data, bytes):
        items = list(data)
        odd = [item for item in items if not isinstance(item, (str, Path))]
        if not odd:
            return [Path(item) for item in items]
        data = odd[0]
    raise DataError(
        f"Images are given by their paths, not as {type(data).__name__}.",
        "Write an array to a file first, for example with PIL.Image.fromarray(array).save(path).",
    )


def _in_folder(folder: Path) -> list[ImageSource]:
    found = find_images(folder)
    if not found:
        raise FileError(f"There are no images in {folder}.", _READ)
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
    return [ImageSource(path, names[path], id_) for path, id_ in found.items()]


def _in_text(file: Path) -> list[Path]:
    lines = [line.strip() for line in read_text(file).splitlines()]
    if any("\0" in line for line in lines):
        raise DataError(
            f"{file} is not a text file.", "It lists one image path per line."
        )
    return [file.parent / line for line in lines if line]


def _number(paths: list[Path], where: str) -> list[ImageSource]:
    """Numbers the images from 1, those named twice once."""
    paths = list(dict.fromkeys(paths))
    if not paths:
        raise FileError(f"{where} names no images.", _READ)
    for path in paths:
        _require_image(path, where)
    names = _unique_names(paths)
    return [ImageSource(path, names[path], n) for n, path in enumerate(paths, 1)]


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
