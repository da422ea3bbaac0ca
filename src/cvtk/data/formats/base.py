"""What the formats share: building a data set with notes on what did not fit, and reading XML safely."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias
from xml.etree import ElementTree

import msgspec
import numpy as np
from msgspec import UNSET, Raw

from cvtk.data.coco import read_bytes
from cvtk.data.images import SUFFIXES, is_file, probe
from cvtk.data.masks import area_and_bbox, require_size
from cvtk.data.model import RLE, Annotation, Category, Dataset, Id, Image, Polygons
from cvtk.errors import DataError

# Where an image's file is: a path, or a function that gives its bytes where the annotations embed it.
Source: TypeAlias = Path | Callable[[], bytes]


@dataclass(frozen=True)
class Note:
    """Something that was not carried over, or was changed: which item, and what about it."""

    item: str
    text: str

    def __str__(self) -> str:
        return f"{self.item}: {self.text}"


@dataclass
class Converted:
    """A data set from another format, where its images lie, and notes on what it lost."""

    dataset: Dataset
    sources: dict[Id, Source] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


class Builder:
    """Puts a data set together, checking each object as it comes.

    Args:
        root: The source's folder; images keep their place below it.
        names: Class names in their order, where the source has one; others follow as they come.
    """

    def __init__(self, root: Path, names: list[str] | None = None) -> None:
        self.root = root
        self.notes: list[Note] = []
        self.sources: dict[Id, Source] = {}
        self._images: list[Image] = []
        self._annotations: list[Annotation] = []
        self._classes: dict[str, int] = {}
        self._taken: set[str] = set()
        for name in names or []:
            self.category(name)

    def note(self, item: str, text: str) -> None:
        """Records a loss or change."""
        self.notes.append(Note(item, text))

    def category(self, name: str) -> int:
        """The id of a class; new names get the next one, from 1."""
        return self._classes.setdefault(name, len(self._classes) + 1)

    def image(
        self,
        source: Source,
        file_name: str,
        width: int | None = None,
        height: int | None = None,
        **extra: Any,
    ) -> Image:
        """Adds an image.

        Args:
            source: Where its file is.
            file_name: What the source calls it.
            width: As the source says, pixels.
            height: As the source says, pixels.
            **extra: Further fields of the image.

        Raises:
            DataError: Its size is neither said nor to be seen.
        """
        if isinstance(source, Path):
            facts = probe(source, decode=False)
            if not facts.error:
                if width and height and (width, height) != (facts.width, facts.height):
                    self.note(
                        file_name,
                        f"the annotations say {width} x {height} pixels, the image is {facts.width} x "
                        f"{facts.height}; kept as said, since the outlines belong to that size",
                    )
                width, height = width or facts.width, height or facts.height
            elif width and height:
                self.note(
                    file_name,
                    f"the image was not found ({source}); its annotations were converted",
                )
            else:
                raise DataError(
                    f"{file_name}: the image is {facts.error} ({source}), and the annotations do not say its "
                    "size.",
                    "Put the image beside the annotations.",
                )
        try:
            width, height = require_size(width, height)
        except DataError as error:
            raise DataError(
                f"{file_name}: {error.message}", "Correct the size in the annotations."
            ) from None
        name = file_name
        if isinstance(source, Path):
            inside = source.is_relative_to(self.root)
            name = source.relative_to(self.root).as_posix() if inside else source.name
        number, pure = 2, PurePosixPath(name)
        while name in self._taken:
            name = str(pure.with_name(f"{pure.stem}_{number}{pure.suffix}"))
            number += 1
        self._taken.add(name)
        image = Image(len(self._images) + 1, name, width, height, _raw(extra))
        self._images.append(image)
        self.sources[image.id] = source
        return image

    def add(
        self,
        item: str,
        image: Image,
        name: str,
        segmentation: Polygons | RLE | None = None,
        bbox: list[float] | None = None,
        **extra: Any,
    ) -> Annotation | None:
        """Adds an object, or notes why it cannot be one.

        Args:
            item: What a note calls it.
            image: Where it is.
            name: Its class.
            segmentation: Its mask.
            bbox: [x, y, width, height] in pixels, where there is no mask.
            **extra: Further fields.
        """
        width, height = image.size or (0, 0)
        if not name.strip():
            self.note(item, "left out: it has no class name")
            return None
        if segmentation:
            try:
                area, box = area_and_bbox(segmentation, width, height)
            except DataError as error:
                self.note(item, f"left out: {error.message}")
                return None
        elif bbox is not None:
            if not np.isfinite(bbox).all():
                raise DataError(
                    f"{item} has a box that is not a number: {bbox}.", "Label it again."
                )
            x0, y0 = max(bbox[0], 0.0), max(bbox[1], 0.0)
            x1, y1 = min(bbox[0] + bbox[2], width), min(bbox[1] + bbox[3], height)
            box = (
                [x0, y0, x1 - x0, y1 - y0]
                if [x0, y0, x1, y1] != _corners(bbox)
                else bbox
            )
            # Without a mask, COCO's area can only be that of the box.
            area = max(box[2], 0.0) * max(box[3], 0.0)
        else:
            self.note(item, "left out: it has neither mask nor box")
            return None
        if area <= 0:
            self.note(item, "left out: it covers no pixel of its image")
            return None
        annotation = Annotation(
            len(self._annotations) + 1,
            image.id,
            self.category(name),
            box,
            area,
            0,
            extra=_raw(extra),
        )
        annotation.segmentation = segmentation or []
        self._annotations.append(annotation)
        return annotation

    def build(self) -> Converted:
        """The data set."""
        categories = [Category(number, name) for name, number in self._classes.items()]
        dataset = Dataset(self._images, self._annotations, categories, folder=self.root)
        return Converted(dataset, self.sources, self.notes)


def _corners(box: list[float]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _raw(extra: dict[str, Any]) -> dict[str, Raw] | msgspec.UnsetType:
    kept = {k: Raw(msgspec.json.encode(v)) for k, v in extra.items() if v is not None}
    return kept or UNSET


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
            for path in sorted(self.root.rglob("*")):
                if path.suffix.lower() in SUFFIXES:
                    self._index.setdefault(path.name, []).append(path)
        options = self._index.get(tail.rsplit("/", 1)[-1], [])
        if (
            len(options) > 1
        ):  # the same name in several folders: the one whose folders agree
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
    return path if path.suffix.lower() in SUFFIXES and is_file(path) else None


def parse_xml(data: bytes, file: Path) -> ElementTree.Element:
    """The root of an XML file; entities, which can be bombs, are refused.

    Raises:
        DataError: It is not XML.
    """
    if re.search(rb"<!(DOCTYPE|ENTITY)", data):
        raise DataError(
            f"{file} declares XML entities, which annotations never need.",
            "Export it again.",
        )
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(
            f"{file} is not XML: {error}.", "Export it again from the labelling tool."
        ) from None


def read_xml(file: Path) -> ElementTree.Element:
    """Reads an XML file; see `parse_xml`."""
    return parse_xml(read_bytes(file), file)


def number(text: str | None, item: str, what: str) -> float:
    """A finite number from the text of an attribute or line.

    Raises:
        DataError: It is none.
    """
    try:
        value = float(text if text is not None else "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value) or abs(value) > 1e12:
        raise DataError(
            f"{item}: {what} is {text!r}, not a number.",
            "Correct it, or label it again.",
        )
    return value


def merge_parts(
    segmentations: list[Polygons | RLE], width: int, height: int
) -> Polygons | RLE:
    """Several parts of one object as one mask: polygons stay polygons, else a bitmap is made."""
    if all(isinstance(s, list) for s in segmentations):
        return [polygon for s in segmentations if isinstance(s, list) for polygon in s]
    from cvtk.data.masks import from_bitmap, to_bitmap

    bitmap = to_bitmap(segmentations[0], width, height)
    for other in segmentations[1:]:
        bitmap |= to_bitmap(other, width, height)
    return from_bitmap(bitmap)
