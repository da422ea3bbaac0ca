"""Label Studio's JSON export (https://labelstud.io/guide/task_format): coordinates in percent of the image.

Brush masks are packed with the run-length code of https://github.com/thi-ng/umbrella (rle-pack).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from cvtk.data.formats.builder import TURNED, Builder, is_score
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.labelstudio_write import write
from cvtk.data.images import probe
from cvtk.data.json_text import parse_json
from cvtk.data.masks import (
    ellipse_polygon,
    from_bitmap,
    polygon_box,
    require_size,
    turned_box,
)
from cvtk.data.types import RLE, Converted, Image, Polygons
from cvtk.errors import DataError
from cvtk.io import IMAGE_SUFFIXES, is_file, read_bytes

__all__ = ["decode_brush", "image_name", "parse_region", "read", "write"]


class Result(Struct):
    """One region."""

    type: str = ""
    value: dict[str, Any] = {}  # relations between regions have none
    original_width: int | None = None
    original_height: int | None = None
    score: Any = None  # of a prediction


class Work(Struct):
    """What one person drew, or a model found."""

    result: list[Result] = []
    was_cancelled: bool = False


class Task(Struct):
    """One image."""

    data: dict[str, Any]
    id: int | str | None = None
    annotations: list[Work] | None = None
    completions: list[Work] | None = None
    predictions: list[Any] | None = None  # those of an export may be mere numbers

    def done(self) -> list[Work]:
        """What people drew."""
        works = self.annotations or self.completions or []
        return [work for work in works if not work.was_cancelled]

    def found(self) -> list[Result]:
        """What the first model found."""
        first = (self.predictions or [None])[0]
        try:
            return msgspec.convert(first, Work).result
        except msgspec.ValidationError:
            return []

    file_upload: str | None = None


class _Bits:
    """A stream of bits, the highest of each byte first; 64 bytes at a time, since long numbers are slow."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.value, self.left = data, 0, 0, 0

    def read(self, count: int) -> int:
        """The next `count` bits as a number."""
        while count > self.left:
            part = self.data[self.at : self.at + 64]
            if not part:
                raise DataError("The brush mask was cut off.")
            self.at += len(part)
            self.value = (self.value & ((1 << self.left) - 1)) << (
                8 * len(part)
            ) | int.from_bytes(part, "big")
            self.left += 8 * len(part)
        self.left -= count
        return (self.value >> self.left) & ((1 << count) - 1)


def decode_brush(code: list[int], width: int, height: int) -> NDArray[np.uint8]:
    """A brush's `rle` as (height, width) uint8, 0 outside.

    The code is a header (32 bits: the count of values; 5: the bits of a value less 1; four times 4: the bits of
    a run length, less 1), then blocks: one bit whether a run, two bits which of the four lengths, the length
    less 1, and either one value or that many. Values are red, green, blue and alpha of each pixel.

    Raises:
        DataError: It is not such a code, or not of this size.
    """
    require_size(width, height)
    if not all(isinstance(v, int) and 0 <= v <= 255 for v in code):
        raise DataError("The brush mask is not a list of bytes.")
    total, bits = 4 * width * height, _Bits(bytes(code))
    count = bits.read(32)
    if count != total:
        raise DataError(
            f"The brush mask has {count} values, its image {width} x {height} needs {total}."
        )
    size = bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    out = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        run = bits.read(1)
        end = at + 1 + bits.read(lengths[bits.read(2)])
        if end > total:
            raise DataError("The brush mask runs out of its image.")
        if run:
            out[at:end] = min(bits.read(size), 255)
        else:
            out[at:end] = [min(bits.read(size), 255) for _ in range(end - at)]
        at = end
    return out.reshape(height, width, 4)[..., 3]


def parse_region(
    result: Result, width: int, height: int
) -> tuple[Polygons | RLE, str] | None:
    """The mask and the class of a region; None where it is no shape but a choice or a text.

    Raises:
        DataError: It is a point or a line, or a number is missing.
    """
    value, kind = result.value, result.type.removesuffix("labels")
    if kind in ("choices", "textarea", "rating", "labels", "relation", ""):
        return None
    name = _label(result)
    turn = value.get("rotation") or 0
    if not _is_number(turn):
        raise DataError(f"The rotation is {str(turn)[:50]!r}, not a number.")

    def pixels(key: str, scale: int) -> float:
        found = value.get(key)
        if found is None or not _is_number(found):
            raise DataError(
                f"The {kind} has no number {key!r}, but {str(found)[:50]!r}."
            )
        return float(found) * scale / 100  # the tool counts in percent

    if kind == "rectangle":
        x, y = pixels("x", width), pixels("y", height)
        w, h = pixels("width", width), pixels("height", height)
        return [turned_box(x, y, w, h, turn, about_centre=False)], name
    if kind == "ellipse":
        x, y = pixels("x", width), pixels("y", height)
        rx, ry = pixels("radiusX", width), pixels("radiusY", height)
        return [ellipse_polygon(x, y, rx, ry, turn)], name
    if kind == "polygon":
        return [_outline(value.get("points"), width, height)], name
    if kind == "brush":
        code = value.get("rle")
        if not isinstance(code, list):
            raise DataError("The brush has no 'rle'.")
        return from_bitmap(decode_brush(code, width, height)), name
    raise DataError(f"A {kind!r} has no area, so it cannot be a mask.")


def _label(result: Result) -> str:
    """The first label of a region; empty where it has none."""
    labels = result.value.get(result.type)
    if not labels:
        keys = (key for key in result.value if key.endswith("labels"))
        labels = result.value.get(next(keys, ""))
    if isinstance(labels, list) and labels and isinstance(labels[0], str):
        return labels[0]
    return ""


def _outline(points: Any, width: int, height: int) -> list[float]:
    """A polygon in pixels from points in percent."""
    if not isinstance(points, list) or not all(_is_pair(p) for p in points):
        raise DataError("The polygon's points are not pairs of numbers.")
    return [
        float(value) * scale / 100
        for point in points
        for value, scale in zip(point, (width, height), strict=True)
    ]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e6


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))


def image_name(task: Task, item: str) -> str:
    """The file name of a task's image: without server, folders of uploads, and the tool's prefix."""
    texts = [v for v in task.data.values() if isinstance(v, str)]
    for text in texts:
        url = urlparse(text)
        query = parse_qs(url.query).get("d")  # /data/local-files/?d=folder/name.jpg
        name = unquote(query[0] if query else url.path)
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            return name
    raise DataError(f"{item} has no image in its 'data'.", "Export image tasks only.")


def read(path: Path) -> Converted:
    """Reads a Label Studio export (JSON, not JSON-MIN).

    Predictions are read where nobody has labelled anything yet; else they are not labels, and images that have
    nothing else are left out.
    """
    tasks = parse_json(read_bytes(path), path, list[Task])
    builder, finder = Builder(path.parent), Finder(path.parent)
    labelled = any(task.done() for task in tasks)
    for index, task in enumerate(tasks):
        item = f"{path}: task {task.id if task.id is not None else index + 1}"
        name = image_name(task, item)
        place = finder.find(name)
        bare = re.sub(r"^[0-9a-f]{8}-", "", name.rsplit("/", 1)[-1])
        if not is_file(place):  # uploads get eight digits before their name
            place = finder.find(bare)
        done = task.done()
        results = done[0].result if done else []
        if not done and task.predictions:
            if labelled:
                builder.note(
                    item, "left out: nobody labelled it, there are predictions"
                )
                continue
            results = task.found()
        if len(done) > 1:
            builder.note(item, f"{len(done)} people labelled it; the first was taken")
        sized = [r for r in results if r.original_width and r.original_height]
        width, height = (
            (sized[0].original_width, sized[0].original_height)
            if sized
            else (None, None)
        )
        try:
            if not sized and probe(place, decode=False).error:
                raise DataError(
                    f"{bare}: its image is missing, and no region says its size.",
                    "Put it there.",
                )
            image = builder.image(place, bare, width, height)
        except DataError as error:
            raise DataError(f"{item}: {error.message}", error.remedy) from None
        score = "predicted_score" if done else "score"
        _read_regions(results, image, item.split(": ", 1)[1], builder, score)
    return builder.build()


def _read_regions(
    results: list[Result], image: Image, item: str, builder: Builder, score: str
) -> None:
    """Adds the regions of an image; what the tool tells of scores goes to the field `score`."""
    width, height = image.size or (0, 0)
    for index, result in enumerate(results):
        name = f"{item}, result[{index}]"
        try:
            found = parse_region(result, width, height)
        except DataError as error:
            builder.note(name, f"left out: {error.message}")
            continue
        if found is None:
            builder.note(name, f"left out: {result.type!r} is not of a region")
            continue
        mask, label = found
        box = None
        if result.type.startswith("rectangle") and isinstance(mask, list):
            if (result.value.get("rotation") or 0) % 360:
                builder.note(name, TURNED)
            else:
                box = polygon_box(mask)
        scores = {score: result.score} if is_score(result.score) else {}
        builder.add(name, image, label, None if box else mask, box, **scores)
