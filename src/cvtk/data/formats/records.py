"""One record for each format: its name, what is read of it, and what it can hold.

The tables of docs/formats.md are these records. A record is light: the reader and writer are imported when
they are used.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvtk.data.types import Converted, Dataset, Id, Note, Source
from cvtk.errors import DataError, did_you_mean

# All that a data set may have, in COCO's terms.
FEATURES = ("masks", "boxes", "holes", "parts", "crowds", "overlap", "folders")


@dataclass(frozen=True)
class Format:
    """A format that data sets come in.

    Attributes:
        name: What `--from` and `--to` call it; its module in this package has `read` and, where it is
            written, `write`.
        title: What people call it.
        source: What the user names: a file or a folder.
        reads: What is read of it.
        holds: Which of `FEATURES` it can hold.
        written: Whether cvtk writes it.
        loses: What becomes of the rest when it is written.
        splits: Whether it keeps several splits in one set.
        folder: Whether a set may be a folder; else it is one file.
    """

    name: str
    title: str
    source: str
    reads: str
    holds: frozenset[str]
    written: bool = False
    loses: str = ""
    splits: bool = False
    folder: bool = True

    def read(self, path: Path, split: str | None = None) -> Converted:
        """Reads a data set.

        Args:
            path: The file or folder.
            split: Which split, for a format that keeps several in one set.

        Raises:
            FileError: A file is missing.
            DataError: The set is not of this format, or is broken; the message names the item.
        """
        if split is not None and not self.splits:
            raise DataError(
                f"{path}: the format {self.name} keeps no splits.",
                "Leave out --split.",
            )
        more = {"split": split} if self.splits else {}
        found: Converted = self._module.read(path, **more)
        return found

    def write(
        self,
        dataset: Dataset,
        sources: dict[Id, Source],
        folder: Path,
        notes: list[Note],
        images: bool = True,
    ) -> None:
        """Writes a data set into an empty folder (COCO, which is one file, is written by `cvtk.data.coco`).

        Args:
            dataset: What to write.
            sources: Where its images are.
            folder: An empty folder.
            notes: Gets what the format cannot hold.
            images: Whether the images come along.

        Raises:
            DataError: Nothing of the set can be written in this format.
        """
        self._module.write(dataset, sources, folder, notes, images)

    @property
    def _module(self) -> Any:
        return importlib.import_module(f"cvtk.data.formats.{self.name}")


_ALL = frozenset(FEATURES)

FORMATS: dict[str, Format] = {
    record.name: record
    for record in (
        Format(
            "coco",
            "COCO",
            "a `.json` file",
            "polygons, several parts, RLE as numbers or text, `iscrowd`, ids as numbers or text",
            _ALL,
            written=True,
            folder=False,
        ),
        Format(
            "labelme",
            "LabelMe",
            "a folder of `.json` files beside images, or one file; `.xml` files of the first LabelMe",
            "polygon, rectangle (a box), circle, `mask`; shapes of one label and `group_id` are one object; "
            "embedded images; `__ignore__` is left out",
            _ALL - {"crowds"},
            written=True,
            loses="crowds (they become ordinary objects)",
        ),
        Format(
            "voc",
            "Pascal VOC",
            "a folder with `Annotations` (and `SegmentationObject`, `SegmentationClass`, `labelmap.txt`), "
            "or one `.xml`",
            "boxes; instance masks, matched to boxes by overlap",
            _ALL - {"crowds", "overlap", "folders"},
            written=True,
            loses="crowds; overlap (the smaller object keeps the pixels); more than 254 objects in an "
            "image; folders",
        ),
        Format(
            "yolo",
            "YOLO",
            "`data.yaml`, or its folder; or a folder with `classes.txt` or `obj.names`",
            "polygons and boxes; `--split train` reads one split, else images have the field `split`",
            frozenset({"masks", "boxes", "overlap", "folders"}),
            written=True,
            loses="crowds; parts and holes are joined into one outline by bridges of no width; boxes of "
            "objects with masks",
            splits=True,
        ),
        Format(
            "via",
            "VGG Image Annotator 2",
            "the `.json` of a VIA 2 project or export",
            "polygon, circle, ellipse, rectangle (a box)",
            frozenset({"masks", "boxes", "overlap"}),
            folder=False,
        ),
        Format(
            "cvat",
            "CVAT for images 1.1",
            "`annotations.xml`, or its folder",
            "polygon, box, ellipse, mask, all turned or not; polygons and masks of one group and label are "
            "one object",
            _ALL - {"crowds"},
            written=True,
            loses="crowds (they become ordinary objects)",
        ),
        Format(
            "labelstudio",
            "Label Studio",
            "the `.json` export (not JSON-MIN)",
            "polygon, rectangle (a box), ellipse, brush; the first annotation that was not cancelled; "
            "predictions, where nobody has labelled anything yet",
            _ALL - {"crowds"},
            written=True,
            loses="crowds (they become ordinary objects); objects of several parts become brushes",
            folder=False,
        ),
        Format(
            "masks",
            "a folder of instance masks",
            "a folder with `images/NAME.jpg` and `masks/NAME.png`, or `masks/CLASS/NAME.png`",
            "each value or colour is an object, 0 is background",
            frozenset({"masks", "holes", "parts", "folders"}),
        ),
    )
}
# Those that people label in.
TOOLS = ("labelme", "labelstudio", "cvat")
WRITTEN = tuple(name for name, record in FORMATS.items() if record.written)


def format_named(name: str) -> Format:
    """The record of a format.

    Raises:
        DataError: There is none of this name.
    """
    if name not in FORMATS:
        raise DataError(
            f"There is no format {name!r}.",
            did_you_mean(name, FORMATS) or f"Formats: {', '.join(FORMATS)}.",
        )
    return FORMATS[name]


def tables() -> str:
    """The tables of docs/formats.md: what is read, and what is lost when writing."""
    lines = [
        "| format | what it is | source | read | written |",
        "|---|---|---|---|---|",
    ]
    for record in FORMATS.values():
        written = "yes" if record.written else ""
        lines.append(
            f"| `{record.name}` | {record.title} | {record.source} | {record.reads} | {written} |"
        )
    lines += [
        "",
        f"| format | {' | '.join(FEATURES)} |",
        "|---" * (len(FEATURES) + 1) + "|",
    ]
    for record in FORMATS.values():
        cells = ["yes" if feature in record.holds else "" for feature in FEATURES]
        lines.append(f"| `{record.name}` | {' | '.join(cells)} |")
    lines += ["", "| target | cannot hold |", "|---|---|"]
    for record in FORMATS.values():
        if record.loses:
            lines.append(f"| `{record.name}` | {record.loses} |")
    return "\n".join(lines)
