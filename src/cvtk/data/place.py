"""Where images lie when a data set moves to another folder: names stay relative, and inside the folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cvtk.data.formats.base import Source
from cvtk.data.images import is_file, resolve
from cvtk.data.model import Dataset, Id, Image
from cvtk.errors import FileError


def copy_image(source: Source | None, target: Path) -> None:
    """Copies an image, or writes an embedded one; one that is missing is left out.

    Raises:
        FileError: `target` is a different file already.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if callable(source):
        target.write_bytes(source())
    elif source is not None and is_file(source):
        if target.exists():
            if (
                target.stat().st_size == source.stat().st_size
                and target.read_bytes() == source.read_bytes()
            ):
                return
            raise FileError(
                f"{target} exists already and is another image.",
                "Choose another folder.",
            )
        shutil.copyfile(source, target)


def place_images(
    dataset: Dataset, sources: dict[Id, Source], folder: Path
) -> tuple[Dataset, int]:
    """Renames the images of a data set for a JSON file in `folder`, copying them where they must be.

    Images below `folder` stay where they are. If one lies elsewhere or is embedded, all are copied to
    `folder/images`, for names must not lead out of the folder.

    Args:
        dataset: The set; not changed.
        sources: Where its images are.
        folder: Where the JSON file will be.

    Returns:
        The set with its new names, and how many images were copied.
    """
    folder = folder.absolute()
    names: dict[Id, str] = {}
    for image in dataset.images:
        source = sources.get(image.id)
        place = source.absolute() if isinstance(source, Path) else None
        if place is None or not place.is_relative_to(folder):
            break
        names[image.id] = place.relative_to(folder).as_posix()
    copied = 0
    if len(names) < len(dataset.images):
        for image in dataset.images:
            name = image.file_name.replace("\\", "/")
            name = name if name.startswith("images/") else f"images/{name}"
            copy_image(sources.get(image.id), folder / name)
            names[image.id] = name
            copied += 1
    images: list[Image] = [
        msgspec.structs.replace(image, file_name=names[image.id])
        for image in dataset.images
    ]
    moved = Dataset(
        images,
        dataset.annotations,
        dataset.categories,
        folder=folder,
        file=dataset.file,
        extra=dataset.extra,
    )
    return moved, copied


def place_dataset(dataset: Dataset, folder: Path) -> Dataset:
    """A COCO set for a JSON file in another folder; see `place_images`."""
    if folder.absolute() == dataset.folder.absolute():
        return dataset
    places: dict[Id, Source] = {
        i.id: resolve(dataset.folder, i.file_name) for i in dataset.images
    }
    return place_images(dataset, places, folder)[0]


@contextmanager
def written_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a folder beside `folder` to write to, and renames it when the block ends well.

    Args:
        folder: The final name.
        force: Whether files of a folder that exists may be replaced; others in it stay.

    Raises:
        FileError: The folder is not empty and `force` was not said, or cannot be written.
    """
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not force)
    ):
        raise FileError(
            f"{folder} exists already.", "Choose another name, or say --force."
        )
    part = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        try:
            yield part
            if not folder.exists():
                part.replace(folder)
                return
            for file in sorted(part.rglob("*")):
                if file.is_file():
                    target = folder / file.relative_to(part)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise FileError(
            f"{folder} cannot be written ({error}).", "Check the folder and the disk."
        ) from error
