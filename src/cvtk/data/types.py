"""What a data set is: images, annotations and categories, and every other field of the source.

The fields are those of COCO (https://cocodataset.org/#format-data). A segmentation stays the JSON text
it was until somebody asks for it, so that a file of a million instances fits in memory, and is written
back to the letter.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from cvtk.errors import DataError

Id: TypeAlias = int | str
Polygons: TypeAlias = list[list[float]]


class RLE(Struct, frozen=True):
    """Runs of background and object in column order: COCO's mask of `size` [height, width] pixels.

    `counts` is a list of run lengths, or COCO's compressed text of the same.
    """

    size: tuple[int, int]
    counts: list[int] | str


# The segmentation of an annotation without one. It is one object, for msgspec leaves out a default of this
# type only where the value is that very object.
NO_RAW = Raw()

_SOMETHING = re.compile(rb"[^\[\],\s]")
_segmentation = msgspec.json.Decoder(Polygons | RLE | None)


class Category(Struct, omit_defaults=True):
    """A class of objects; `id` is a number or a text, unique in the data set."""

    id: Id
    name: str
    supercategory: str | None | UnsetType = UNSET
    extra: dict[str, Raw] | UnsetType = UNSET


class Image(Struct, omit_defaults=True):
    """An image; `file_name` is relative to the data set's folder, `width` and `height` are pixels."""

    id: Id
    file_name: str
    width: int | None | UnsetType = UNSET
    height: int | None | UnsetType = UNSET
    extra: dict[str, Raw] | UnsetType = UNSET

    def describe(self) -> str:
        """How a message calls it: by id and file name."""
        return f"image {show_id(self.id)} ({self.file_name[:100]})"

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels, where both are known."""
        return (self.width, self.height) if self.width and self.height else None

    @property
    def group(self) -> str:
        """The name of the group of images that it belongs to, such as those of one plant; empty where none is noted.

        It is the field `group`, which `cvtk data split` writes. Tiles are of the group of the image they come from.
        """
        fields = {} if self.extra is UNSET else self.extra
        for name in ("group", "tile_of"):
            try:
                return str(msgspec.json.decode(fields[name], type=str | int))
            except (KeyError, msgspec.MsgspecError):
                continue
        return ""

    @group.setter
    def group(self, name: str) -> None:
        fields = {} if self.extra is UNSET else self.extra
        self.extra = {**fields, "group": Raw(msgspec.json.encode(name))}


class Annotation(Struct, omit_defaults=True, rename={"raw": "segmentation"}):
    """One object in one image.

    `bbox` is [x, y, width, height] in pixels, `area` is square pixels of the mask, `iscrowd` is 1 for a
    mask of many objects. What the source does not say stays `UNSET`.
    """

    id: Id
    image_id: Id
    category_id: Id
    bbox: list[float] | None | UnsetType = UNSET
    area: float | None | UnsetType = UNSET
    iscrowd: int | bool | None | UnsetType = UNSET
    raw: Raw = NO_RAW
    extra: dict[str, Raw] | UnsetType = UNSET

    @property
    def segmentation(self) -> Polygons | RLE | None:
        """The mask as COCO has it: a list of polygons [x1, y1, x2, y2, ...], an `RLE`, or None.

        Raises:
            DataError: It is neither.
        """
        if not self.raw:
            return None
        try:
            found: Polygons | RLE | None = _segmentation.decode(self.raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise DataError(
                f"annotation {show_id(self.id)}: segmentation is neither polygons nor RLE ({error}).",
                "Label this object again, or drop it with `cvtk data check --fix`.",
            ) from None
        return found or None

    @segmentation.setter
    def segmentation(self, value: Polygons | RLE | dict[str, Any] | None) -> None:
        self.raw = NO_RAW if value is None else Raw(msgspec.json.encode(value))

    @property
    def has_mask(self) -> bool:
        """Whether there is any segmentation, without decoding it."""
        head = bytes(memoryview(self.raw)[:64])
        return head != b"null" and _SOMETHING.search(head) is not None

    @property
    def box(self) -> list[float] | None:
        """`bbox`, where it is one: four finite numbers; else None."""
        found = self.bbox
        if not isinstance(found, list) or len(found) != 4:
            return None
        return found if all(map(math.isfinite, found)) else None

    @property
    def score(self) -> float | None:
        """How sure a model is of it, 0 to 1; None where people drew it."""
        if self.extra is UNSET or "score" not in self.extra:
            return None
        try:
            return msgspec.json.decode(self.extra["score"], type=float)
        except msgspec.MsgspecError:
            return None

    @property
    def is_crowd(self) -> bool:
        """Whether the mask covers many objects."""
        return self.iscrowd is not UNSET and bool(self.iscrowd)


class Dataset:
    """Images, their annotations, and the categories.

    Attributes:
        images: In the order of the source.
        annotations: In the order of the source.
        categories: In the order of the source.
        extra: Every other field of the source (`info`, `licenses`, ...), as JSON text.
        folder: What file names are relative to.
        file: Where the set was read from, for messages; may be None.
    """

    def __init__(
        self,
        images: list[Image] | None = None,
        annotations: list[Annotation] | None = None,
        categories: list[Category] | None = None,
        *,
        folder: str | Path = ".",
        file: str | Path | None = None,
        extra: dict[str, Raw] | None = None,
    ) -> None:
        self.images = images or []
        self.annotations = annotations or []
        self.categories = categories or []
        self.extra = extra or {}
        self.folder = Path(folder)
        self.file = Path(file) if file is not None else None

    @property
    def class_names(self) -> list[str]:
        """The names of the categories, in their order."""
        return [category.name for category in self.categories]

    def counts(self) -> dict[str, int]:
        """How many annotations each class has, classes without any included."""
        by_id = Counter(annotation.category_id for annotation in self.annotations)
        return {
            category.name: by_id.get(category.id, 0) for category in self.categories
        }

    def image_counts(self) -> dict[str, int]:
        """In how many images each class occurs."""
        seen = Counter(
            c for _, c in {(a.image_id, a.category_id) for a in self.annotations}
        )
        return {category.name: seen.get(category.id, 0) for category in self.categories}

    def by_image(self) -> dict[Id, list[Annotation]]:
        """Annotations by the id of their image; every image has a list."""
        found: dict[Id, list[Annotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            found.setdefault(annotation.image_id, []).append(annotation)
        return found

    def subset(self, images: Iterable[Image]) -> Dataset:
        """The same data set with some of its images, and the annotations of those."""
        kept = list(images)
        ids = {image.id for image in kept}
        return Dataset(
            kept,
            [a for a in self.annotations if a.image_id in ids],
            self.categories,
            folder=self.folder,
            file=self.file,
            extra=self.extra,
        )

    def __repr__(self) -> str:
        return (
            f"<Dataset of {len(self.images)} images, {len(self.annotations)} annotations, "
            f"{len(self.categories)} classes>"
        )

    def _repr_html_(self) -> str:
        """A table of classes and counts, for notebooks."""
        import jinja2

        template = jinja2.Environment(autoescape=True).from_string(_TABLE)
        return template.render(
            dataset=self, counts=self.counts(), images=self.image_counts()
        )


_TABLE = """\
<p>{{ dataset.images|length }} images, {{ dataset.annotations|length }} annotations</p>
<table><tr><th>class</th><th>annotations</th><th>images</th></tr>
{%- for name, count in counts.items() -%}
<tr><td>{{ name }}</td><td>{{ count }}</td><td>{{ images[name] }}</td></tr>
{%- endfor -%}
</table>"""


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


def show_id(value: object) -> str:
    """An id as a message shows it: short, and text in quotes."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
