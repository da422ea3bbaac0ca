"""Moving a data set to another folder: names of images stay relative, and inside the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from cvtk.data.images import resolve
from cvtk.data.types import Dataset, Id, Source
from cvtk.errors import FileError
from cvtk.io import atomic_write, is_file, require_free


def copy_image(source: Source | None, folder: Path, name: str) -> None:
    """Copies an image into a folder, or writes an embedded one; one that is missing is left out.

    Args:
        source: Where the image is.
        folder: The data set's folder.
        name: The image's name in it.

    Raises:
        DataError: The name leads out of the folder.
        FileError: There is a different file of that name already, or it cannot be written.
    """
    target = resolve(folder, name)
    if callable(source):
        with atomic_write(target) as part:
            part.write_bytes(source())
        return
    if source is None or not is_file(source) or _is_copy(source, target):
        return
    with atomic_write(target) as part:
        shutil.copyfile(source, part)


def _is_copy(source: Path, target: Path) -> bool:
    """Whether the file is there already.

    Raises:
        FileError: Another image of that name is there.
    """
    if not is_file(target):
        return False
    same_size = target.stat().st_size == source.stat().st_size
    if same_size and target.read_bytes() == source.read_bytes():
        return True
    raise FileError(
        f"{target} exists already and is another image.", "Choose another folder."
    )


def relocate_images(
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

    Raises:
        DataError: A name leads out of the folder.
        FileError: An image cannot be copied.
    """
    names = _names_below(dataset, sources, folder)
    copied = 0
    if names is None:
        names = {}
        for image in dataset.images:
            name = image.file_name.replace("\\", "/")
            name = name if name.startswith("images/") else f"images/{name}"
            copy_image(sources.get(image.id), folder, name)
            names[image.id] = name
            copied += 1
    images = [
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


def _names_below(
    dataset: Dataset, sources: dict[Id, Source], folder: Path
) -> dict[Id, str] | None:
    """The images' names relative to a folder, where all of them lie below it, links and `..` resolved."""
    root = folder.resolve()
    names: dict[Id, str] = {}
    for image in dataset.images:
        source = sources.get(image.id)
        if not isinstance(source, Path):
            return None
        place = source.resolve()
        if not place.is_relative_to(root):
            return None
        # Where the file is a link, the link's own name is the one that the user knows.
        linked = source.parent.resolve() / source.name
        known = linked if linked.is_relative_to(root) else place
        names[image.id] = known.relative_to(root).as_posix()
    return names


def relocate_dataset(dataset: Dataset, folder: Path) -> Dataset:
    """A COCO set for a JSON file in another folder; see `relocate_images`."""
    sources: dict[Id, Source] = {
        image.id: resolve(dataset.folder, image.file_name) for image in dataset.images
    }
    if folder.resolve() == dataset.folder.resolve():
        return dataset
    return relocate_images(dataset, sources, folder)[0]


def require_other(source: Path, target: Path, *, force: bool = False) -> None:
    """Refuses to write what exists (unless `force` is said), and the source in any case.

    Raises:
        FileError: The target exists, or is the source itself.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise FileError(
            f"{target} exists already: it is the source itself.", "Choose another name."
        )
    require_free(target, force=force)
