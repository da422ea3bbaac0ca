"""What became of the objects of a data set: the tables of `cvtk data diff`."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from cvtk.data.csv_files import Row, write_csv
from cvtk.data.types import Id
from cvtk.errors import FileError
from cvtk.io import atomic_write

Kind: TypeAlias = Literal["unchanged", "reshaped", "renamed", "added", "removed"]
KINDS: tuple[Kind, ...] = ("unchanged", "reshaped", "renamed", "added", "removed")


@dataclass(frozen=True)
class Change:
    """What became of one object.

    Attributes:
        image: The file name of its image: that after, where there is one.
        kind: One of `KINDS`. A renamed object may be reshaped as well: see `iou`.
        box: x, y, width, height in pixels: after, or before of an object that was removed.
        before_class: Empty for an object that was added.
        after_class: Empty for an object that was removed.
        iou: Of the object before and after; NaN for one that was added or removed.
        score: Of a prediction before; NaN where there is none.
        before_id: None for an object that was added.
        after_id: None for an object that was removed.
    """

    image: str
    kind: Kind
    box: tuple[float, ...]
    before_class: str = ""
    after_class: str = ""
    iou: float = math.nan
    score: float = math.nan
    before_id: Id | None = None
    after_id: Id | None = None

    def row(self) -> Row:
        """The line of the CSV file."""
        names = ("bbox_x_px", "bbox_y_px", "bbox_width_px", "bbox_height_px")
        return {
            "image": self.image,
            "change": self.kind,
            "class_before": self.before_class,
            "class_after": self.after_class,
            "iou": self.iou,
            "score_before": self.score,
            "id_before": "" if self.before_id is None else self.before_id,
            "id_after": "" if self.after_id is None else self.after_id,
            **dict(zip(names, self.box, strict=True)),
        }


@dataclass
class Changes:
    """What people changed.

    Attributes:
        objects: All objects, image by image, also those that did not change.
        images: The names of the images that were compared.
        only_before: The names of images that only the first version has; their objects are not compared.
        only_after: The same of the second.
        crowds: How many crowds both have; they are not compared.
        in_crowds: How many objects were left out since they lie in a crowd of the other version.
    """

    objects: list[Change] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    crowds: int = 0
    in_crowds: int = 0

    def counts(self) -> dict[Kind, int]:
        """How many objects there are of each kind."""
        found = Counter(change.kind for change in self.objects)
        return {kind: found[kind] for kind in KINDS}

    def by_class(self) -> dict[str, dict[Kind, int]]:
        """The same for each class: the one before, or that after of what was added."""
        return _counted((c.before_class or c.after_class, c.kind) for c in self.objects)

    def by_image(self) -> dict[str, dict[Kind, int]]:
        """The same for each image."""
        found = {image: dict.fromkeys(KINDS, 0) for image in self.images}
        return found | _counted((c.image, c.kind) for c in self.objects)

    def renamings(self) -> dict[tuple[str, str], int]:
        """How often a class became another, the most frequent first."""
        pairs = Counter(
            (change.before_class, change.after_class)
            for change in self.objects
            if change.kind == "renamed"
        )
        return dict(pairs.most_common())

    def mean_iou(self) -> float:
        """The mean IoU of the objects that are on both sides; NaN where there is none."""
        ious = [change.iou for change in self.objects if not math.isnan(change.iou)]
        return float(np.mean(ious)) if ious else math.nan

    def save(self, file: str | Path, *, force: bool = False) -> Path:
        """Writes a line per object as CSV, or everything as JSON, by the end of the name.

        Raises:
            FileError: The file exists and `force` was not said, or its name ends otherwise.
        """
        file = Path(file)
        require_csv_or_json(file)
        if file.suffix == ".csv":
            write_csv(file, (change.row() for change in self.objects), force=force)
            return file
        with atomic_write(file, force=force) as part:
            text = json.dumps(self._document(), ensure_ascii=False, indent=1)
            part.write_text(text + "\n", encoding="utf-8")
        return file

    def _document(self) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and math.isnan(value) else value

        return {
            "counts": self.counts(),
            "mean_iou": plain(self.mean_iou()),
            "classes": self.by_class(),
            "images": self.by_image(),
            "renamed": [[*pair, n] for pair, n in self.renamings().items()],
            "only_before": self.only_before,
            "only_after": self.only_after,
            "crowds": self.crowds,
            "in_crowds": self.in_crowds,
            "objects": [
                {key: plain(value) for key, value in change.row().items()}
                for change in self.objects
            ],
        }


def _counted(pairs: Iterable[tuple[str, Kind]]) -> dict[str, dict[Kind, int]]:
    found: dict[str, dict[Kind, int]] = {}
    for name, kind in pairs:
        found.setdefault(name, dict.fromkeys(KINDS, 0))[kind] += 1
    return found


def require_csv_or_json(file: Path) -> None:
    """Checks the end of a name.

    Raises:
        FileError: It is neither .csv nor .json.
    """
    if file.suffix not in (".csv", ".json"):
        raise FileError(f"{file} ends neither in .csv nor in .json.", "Name it so.")
