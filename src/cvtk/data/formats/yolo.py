"""YOLO segmentation and detection (https://docs.ultralytics.com/datasets/segment/): text beside images.

One line an object: class number, then a polygon `x1 y1 x2 y2 ...` or a box `cx cy w h`, as fractions of the
image's width and height.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from cvtk.data.contours import join, trace
from cvtk.data.formats.builder import Builder
from cvtk.data.formats.xml_text import number
from cvtk.data.images import resolve
from cvtk.data.masks import check_polygons, to_bitmap
from cvtk.data.relocate import copy_image
from cvtk.data.types import (
    Annotation,
    Converted,
    Dataset,
    Id,
    Image,
    Note,
    Polygons,
    Source,
)
from cvtk.errors import DataError, FileError
from cvtk.io import IMAGE_SUFFIXES, find_images, is_file, read_bytes

_SPLITS = ("train", "val", "valid", "test")


def parse_line(line: str, names: list[str], item: str) -> tuple[str, list[float]]:
    """One line: the class name, and its numbers as they are (4 for a box, 6 or more for a polygon).

    Raises:
        DataError: The line is not of this form, or names a class that does not exist.
    """
    words = line.split()
    index = number(words[0], item, "the class")
    if index != int(index) or not 0 <= index < len(names):
        raise DataError(
            f"{item}: class {words[0]} is not one of the {len(names)} classes of the set.",
            "Correct the line, or the names in data.yaml.",
        )
    values = [number(word, item, "a coordinate") for word in words[1:]]
    if len(values) == 5:
        raise DataError(
            f"{item}: a box with a score is a prediction, not an annotation.",
            "Take out the score.",
        )
    if len(values) < 4 or len(values) % 2:
        raise DataError(
            f"{item} has {len(values)} numbers after the class.",
            "A box has 4, a polygon an even 6 or more.",
        )
    if max(abs(v) for v in values) > 2:
        raise DataError(
            f"{item} has a coordinate of {max(values, key=abs):g}.",
            "YOLO coordinates are fractions of the image, 0 to 1.",
        )
    return names[int(index)], values


def _names(value: Any, file: Path) -> list[str]:
    if isinstance(value, dict):
        keys = list(value)
        if not all(isinstance(k, int) and 0 <= k < 10**5 for k in keys):
            raise DataError(
                f"{file}: 'names' has keys that are not class numbers.",
                "Write `0: name`.",
            )
        value = [value.get(i, f"class {i}") for i in range(max(keys, default=-1) + 1)]
    if isinstance(value, list) and value:
        for index, name in enumerate(value):
            if isinstance(name, (list, dict)):  # not shown: YAML makes small text huge
                raise DataError(
                    f"{file}: the name of class {index} is no text.", "Write `0: name`."
                )
        return [str(name) for name in value]
    raise DataError(
        f"{file} has no 'names'.",
        "YOLO's data.yaml lists the class names under `names:`.",
    )


def find_settings(folder: Path) -> Path | None:
    """The file of a YOLO set that names its classes: data.yaml or another YAML file, or a list of names."""
    usual = [folder / name for name in ("data.yaml", "data.yml", "dataset.yaml")]
    others = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    for file in (*usual, *others):
        if is_file(file) and re.search(rb"^names\s*:", read_bytes(file), re.M):
            return file
    lists = (*usual, folder / "classes.txt", folder / "obj.names")
    return next((file for file in lists if is_file(file)), None)


def _settings(path: Path) -> tuple[Path, list[str], dict[str, list[Path]]]:
    """The root, the class names, and the image files of each split."""
    found = find_settings(path) if path.is_dir() else path
    if found is None:
        raise FileError(
            f"{path} has no data.yaml.",
            "YOLO's data.yaml lists the class names and folders.",
        )
    file = found
    if file.suffix not in (".yaml", ".yml"):
        text = read_bytes(file).decode("utf-8-sig", "replace")
        names = [line.strip() for line in text.splitlines() if line.strip()]
        return file.parent, _names(names, file), {"": find_images(file.parent)}
    import yaml

    try:
        content = yaml.safe_load(read_bytes(file).decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        line = str(error).replace("\n", " ")
        raise DataError(
            f"{file} is not YAML: {line[:300]}.", "Correct the file."
        ) from None
    if not isinstance(content, dict):
        raise DataError(
            f"{file} is not YOLO's data.yaml: it has no 'names'.",
            "Is this the right file?",
        )
    names, base = _names(content.get("names"), file), file.parent
    stated = content.get("path")
    if isinstance(stated, str) and (base / stated).is_dir():
        base = base / stated
    splits: dict[str, list[Path]] = {}
    for split in _SPLITS:
        entry = content.get(split)
        for text in entry if isinstance(entry, list) else [entry] if entry else []:
            if not isinstance(text, str):
                raise DataError(
                    f"{file}: {split!r} is a {type(text).__name__}, not a folder.",
                    "Name a folder or a list.",
                )
            splits.setdefault(split, []).extend(_images(file, base, text))
    if not splits:
        splits = {"": find_images(base)}
    return file.parent, names, splits


def _images(file: Path, base: Path, text: str) -> list[Path]:
    # Roboflow's exports say `../train/images` and mean `train/images` beside the file.
    for folder in (
        base / text,
        file.parent / text,
        file.parent / text.removeprefix("../"),
    ):
        if folder.is_dir():
            return find_images(folder)
        if folder.is_file():
            lines = read_bytes(folder).decode("utf-8-sig", "replace").splitlines()
            return [folder.parent / line.strip() for line in lines if line.strip()]
    raise FileError(
        f"{file}: there is no {text!r} below {base}.",
        "Correct the folder in data.yaml.",
    )


def _label_file(image: Path) -> Path:
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            other = Path(*parts).with_suffix(".txt")
            return other if other.is_file() else image.with_suffix(".txt")
    return image.with_suffix(".txt")


def read(path: Path, split: str | None = None) -> Converted:
    """Reads a YOLO set: data.yaml or its folder.

    Args:
        path: The file or folder.
        split: One of the splits that data.yaml names; all of them where left out, each image with the
            field `split`.
    """
    root, names, splits = _settings(path)
    if split is not None:
        if split not in splits:
            raise DataError(
                f"{path} has no split {split!r}.", f"It has: {', '.join(splits)}."
            )
        splits = {split: splits[split]}
    builder = Builder(root, names)
    for name, images in splits.items():
        for file in images:
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            image = builder.image(file, file.name, split=name or None)
            label = _label_file(file)
            if not label.is_file():
                continue  # YOLO: an image without a file has no objects
            text = read_bytes(label).decode("utf-8-sig", "replace")
            for line, words in enumerate(text.splitlines(), 1):
                if words.strip():
                    _add(builder, image, words, names, f"{label}, line {line}")
    return builder.build()


def _add(
    builder: Builder, image: Image, line: str, names: list[str], item: str
) -> None:
    name, values = parse_line(line, names, item)
    width, height = image.size or (0, 0)
    scaled = [v * (height if i % 2 else width) for i, v in enumerate(values)]
    if len(values) == 4:
        cx, cy, w, h = scaled
        builder.add(item, image, name, None, [cx - w / 2, cy - h / 2, w, h])
    else:
        builder.add(item, image, name, [scaled])


def line_of(
    annotation: Annotation, index: int, image: Image, item: str, notes: list[Note]
) -> str:
    """An object as a line; parts and holes are joined into one polygon by bridges of no width."""
    width, height = image.size or (0, 0)
    segmentation = annotation.segmentation
    if isinstance(segmentation, list):
        check_polygons(segmentation, width, height)
    if segmentation is None:
        if not isinstance(annotation.bbox, list) or len(annotation.bbox) != 4:
            raise DataError("It has neither mask nor box.")
        x, y, w, h = annotation.bbox
        values = [x + w / 2, y + h / 2, w, h]
    elif isinstance(segmentation, list) and len(segmentation) == 1:
        values = segmentation[0]
    else:
        outer: Polygons
        outer, holes = trace(to_bitmap(segmentation, width, height))
        if not outer:
            raise DataError("Its mask is empty.")
        if len(outer) + len(holes) > 1:
            text = f"its {len(outer)} parts and {len(holes)} holes are joined into one polygon"
            notes.append(Note(item, text))
        values = join(outer, holes)
    scaled = np.asarray(values, dtype=float).reshape(-1, 2) / (width, height)
    return " ".join([str(index), *(f"{v:.8g}" for v in scaled.clip(0, 1).ravel())])


def write(
    dataset: Dataset,
    sources: dict[Id, Source],
    folder: Path,
    notes: list[Note],
    images: bool = True,
) -> None:
    """Writes data.yaml, `images/` and `labels/`; images with a field `split` go to its folder.

    Args:
        dataset: What to write.
        sources: Where the images are.
        folder: An empty folder.
        notes: Gets what YOLO cannot hold.
        images: Whether the images come along.
    """
    import msgspec
    import yaml

    order = {category.id: index for index, category in enumerate(dataset.categories)}
    by_image, splits = dataset.by_image(), []
    for image in dataset.images:
        extra = image.extra if isinstance(image.extra, dict) else {}
        split = msgspec.json.decode(extra["split"]) if "split" in extra else "train"
        split = split if split in _SPLITS else "train"
        splits.append(split)
        name = image.file_name.removeprefix(f"images/{split}/").removeprefix("images/")
        label = resolve(folder / "labels" / split, name).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        if images:
            copy_image(sources.get(image.id), folder / "images" / split, name)
        if label.exists():
            raise DataError(
                f"{image.file_name}: YOLO would give it the label file of another image.",
                "Rename one of the images.",
            )
        lines = []
        for annotation in by_image[image.id]:
            item = f"annotation {annotation.id} ({image.file_name})"
            if annotation.is_crowd:
                notes.append(Note(item, "left out: YOLO has no crowds"))
                continue
            try:
                lines.append(
                    line_of(
                        annotation, order[annotation.category_id], image, item, notes
                    )
                )
            except DataError as error:
                notes.append(Note(item, f"left out: {error.message}"))
        label.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    names = dict(enumerate(dataset.class_names))
    entries = {split: f"images/{split}" for split in _SPLITS if split in splits}
    content = {"path": ".", **entries, "names": names}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
