"""From any format that is read to any that is written, with notes on what did not fit."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from cvtk.data.coco import write as write_coco
from cvtk.data.formats import WRITERS, detect, module
from cvtk.data.formats.base import Converted, Note
from cvtk.data.model import Dataset
from cvtk.data.place import place_images, written_folder
from cvtk.errors import DataError, FileError, did_you_mean
from cvtk.files import written_whole


@dataclass
class Conversion:
    """What a conversion did.

    Attributes:
        dataset: What was written.
        source_format: Where it came from.
        target_format: What it is now.
        copied: How many images were copied.
        notes: What was changed or not carried over, item by item.
    """

    dataset: Dataset
    source_format: str
    target_format: str
    copied: int
    notes: list[Note]


def load(
    path: str | Path, *, format: str | None = None, split: str | None = None
) -> Converted:
    """Reads a data set in any format.

    Args:
        path: A file or folder, as the labelling tool wrote it.
        format: Which it is; found out where left out.
        split: For formats that keep several splits in one set (YOLO): which one.

    Raises:
        FileError: The file is missing.
        DataError: It is of no known format, or broken; the message names the item.
    """
    path = Path(path)
    name = format or detect(path)
    reader = module(name).read
    if not path.exists():
        raise FileError(f"{path}: no such file or folder.", "Check the path.")
    if "split" in inspect.signature(reader).parameters:
        found: Converted = reader(path, split=split)
        return found
    if split is not None:
        raise DataError(
            f"{path}: the format {name} keeps no splits.", "Leave out --split."
        )
    if path.is_dir() and name in ("coco", "via", "labelstudio"):
        raise FileError(f"{path} is a folder.", "Say which file in it.")
    found = reader(path)
    return found


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    split: str | None = None,
    images: bool = True,
    label: str | Path | None = None,
    force: bool = False,
) -> Conversion:
    """Converts a data set; the source is never changed.

    Args:
        source: A file or folder, as the labelling tool wrote it.
        target: A `.json` file for COCO, a folder for the others.
        source_format: One of `READERS`; found out where left out.
        target_format: One of `WRITERS`; COCO where left out.
        split: As in `load`.
        images: Whether images that lie outside the target's folder are copied into it.
        label: A file to write the class names to, one a line, for training.
        force: Whether the target may be replaced.

    Raises:
        FileError: A file is missing, or the target exists.
        DataError: The source is broken; the message names the item.
    """
    source, target = Path(source), Path(target)
    wanted = target_format or "coco"
    if wanted not in WRITERS:
        raise DataError(
            f"cvtk does not write {wanted!r}.",
            did_you_mean(wanted, WRITERS) or f"It writes {WRITERS}.",
        )
    if wanted == "coco" and target.suffix.lower() != ".json":
        raise FileError(
            f"{target} is to be a COCO file, but does not end in .json.",
            "Name it *.json.",
        )
    if target.exists() and target.is_file() and not force:
        raise FileError(
            f"{target} exists already.", "Choose another name, or say --force."
        )
    if target.exists() and source.exists() and target.samefile(source):
        raise FileError(f"{target} is the source itself.", "Choose another name.")
    if label is not None and Path(label).exists() and not force:
        raise FileError(
            f"{label} exists already.", "Choose another name, or say --force."
        )
    name = source_format or detect(source)
    loaded = load(source, format=name, split=split)
    dataset, notes, copied = loaded.dataset, loaded.notes, 0
    if not dataset.annotations:
        raise DataError(
            f"{source} has no annotation that could be converted. {_first(notes)}".strip()
        )
    if wanted == "coco":
        if images:
            dataset, copied = place_images(dataset, loaded.sources, target.parent)
        write_coco(dataset, target, force=force)
    else:
        with written_folder(target, force=force) as part:
            module(wanted).write(dataset, loaded.sources, part, notes, images)
        copied = len(dataset.images) if images else 0
    if label is not None:
        with written_whole(Path(label), force=force) as part:
            text = "".join(f"{n}\n" for n in dataset.class_names)
            part.write_text(text, encoding="utf-8")
    return Conversion(dataset, name, wanted, copied, notes)


def _first(notes: list[Note]) -> str:
    return f"The first reason: {notes[0]}." if notes else ""
