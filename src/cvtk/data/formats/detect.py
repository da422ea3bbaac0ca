"""Which format a file or folder is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvtk.data.formats.records import FORMATS
from cvtk.data.formats.yolo import find_settings
from cvtk.data.json_text import parse_json
from cvtk.errors import CvtkError, DataError, FileError
from cvtk.io import read_bytes

# Large files are only looked at from above.
_TOP = dict[str, Any] | list[Any]
# Files of other tools may lie among the annotations of a folder.
_LOOKED_AT = 50


def detect(path: Path) -> str:
    """Which format a file or folder is in.

    Raises:
        FileError: There is no such file.
        DataError: It is in none of them.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file or folder.", "Check the path.")
    found = _detect_folder(path) if path.is_dir() else _detect_file(path)
    if found is None:
        raise DataError(
            f"{path} is in no format that cvtk knows.",
            f"Say which with --from; formats: {', '.join(FORMATS)}.",
        )
    return found


def _detect_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return "yolo"
    if suffix == ".xml":
        head = read_bytes(path)[:4096]
        return _detect_xml(head)
    if suffix == ".json":
        return _detect_json(
            parse_json(
                read_bytes(path), path, Any if path.stat().st_size < 2**20 else _TOP
            )
        )
    return None


def _detect_xml(head: bytes) -> str | None:
    if b"<annotations" in head:
        return "cvat"
    if b"<annotation" not in head:
        return None
    return "labelme" if b"<polygon>" in head and b"<pt>" in head else "voc"


def _detect_json(document: object) -> str | None:
    if isinstance(document, dict):
        if "shapes" in document:
            return "labelme"
        if "images" in document and (
            "annotations" in document or "categories" in document
        ):
            return "coco"
        if "_via_img_metadata" in document:
            return "via"
        first = next(iter(document.values()), None)
        if isinstance(first, dict) and "regions" in first and "filename" in first:
            return "via"
    if isinstance(document, list) and document and isinstance(document[0], dict):
        keys = document[0].keys()
        return (
            "labelstudio"
            if "data" in keys
            and not keys.isdisjoint({"annotations", "completions", "predictions"})
            else None
        )
    return None


def _detect_folder(folder: Path) -> str | None:
    if find_settings(folder) is not None:
        return "yolo"
    if (folder / "annotations.xml").is_file():
        return "cvat"
    if (folder / "masks").is_dir():
        return "masks"
    if (folder / "SegmentationObject").is_dir():
        return "voc"
    for file in _annotation_files(folder):
        try:
            found = _detect_file(file)
        except CvtkError:
            continue
        if found is None:
            continue
        if FORMATS[found].folder:
            return found
        # Formats of one file: name the file, so that two of them are not mixed.
        raise DataError(
            f"{folder} is a folder, but {FORMATS[found].title} keeps a set in one file.",
            f"Say which file, for example {file}.",
        )
    return "voc" if (folder / "Annotations").is_dir() else None


def _annotation_files(folder: Path) -> list[Path]:
    """JSON and XML files below a folder, the nearest first, not more than tell the format."""
    files = sorted([*folder.rglob("*.json"), *folder.rglob("*.xml")])
    files.sort(key=lambda file: len(file.parts))
    return files[:_LOOKED_AT]
