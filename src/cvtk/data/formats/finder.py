"""Finding the image files that annotations name."""

from __future__ import annotations

from pathlib import Path

from cvtk.data.images import resolve
from cvtk.errors import DataError
from cvtk.io import IMAGE_SUFFIXES, find_images, is_file


class Finder:
    """Finds image files by what annotations call them: by path, else by name below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._index: dict[str, list[Path]] | None = None

    def find(self, name: str, near: Path | None = None) -> Path:
        """The file that `name` means; where there is none, the place where it was expected.

        Args:
            name: A relative path, with slashes or backslashes; leading folders may be of another machine.
            near: The folder to look in first.
        """
        tail = name.replace("\\", "/")
        for folder in (near, self.root):
            for text in (name, tail):
                if folder is not None and (found := _inside(folder, text)) is not None:
                    return found
        if self._index is None:
            self._index = {}
            for path in find_images(self.root):
                self._index.setdefault(path.name, []).append(path)
        options = self._index.get(tail.rsplit("/", 1)[-1], [])
        if len(options) > 1:  # in several folders: the one whose folders agree
            options = [
                p for p in options if p.as_posix().endswith("/" + tail.lstrip("./"))
            ] or options
        if len(options) > 1:
            raise DataError(
                f"{name!r} may be any of {', '.join(str(p) for p in options[:3])}.",
                "Give the images different names, or name them with their folders.",
            )
        return options[0] if options else (near or self.root) / tail.rsplit("/", 1)[-1]


def _inside(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if path.suffix.lower() in IMAGE_SUFFIXES and is_file(path) else None


def find_beside(folder: Path, file_name: str) -> Path | None:
    """An image in a folder beside that of the annotations, as COCO keeps `annotations/` beside `train2017/`.

    Args:
        folder: The folder of the annotation file.
        file_name: As the annotations say.

    Returns:
        The file, or None where there is none, or where the name leads out of the folders.
    """
    parent = folder.absolute().parent
    siblings = sorted(path for path in parent.iterdir() if path.is_dir())
    for base in (parent, *siblings):
        try:
            place = resolve(base, file_name)
        except DataError:
            return None
        if is_file(place):
            return place
    return None
