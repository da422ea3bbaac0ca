"""Reading and writing COCO files (https://cocodataset.org/#format-data): fast, tolerant, and to the letter.

Each image, annotation and category is checked as it is read. Fields this package does not know are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from cvtk.data.model import Annotation, Category, Dataset, Image, show_id
from cvtk.errors import DataError, FileError
from cvtk.files import written_whole

T = TypeVar("T", Image, Annotation, Category)

_KNOWN: dict[type, frozenset[str]] = {
    Image: frozenset({"id", "file_name", "width", "height"}),
    Annotation: frozenset(
        {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"}
    ),
    Category: frozenset({"id", "name", "supercategory"}),
}
_LISTS: dict[str, type] = {
    "images": Image,
    "annotations": Annotation,
    "categories": Category,
}
_REMEDY = (
    "Correct it in the file, or let `cvtk data check FILE --fix OUT.json` drop it."
)


class _Strict(Struct, forbid_unknown_fields=True, rename={"raw": "segmentation"}):
    """An annotation without fields of its own: most are, and need no second look."""

    id: int | str
    image_id: int | str
    category_id: int | str
    bbox: list[float] | None | msgspec.UnsetType = UNSET
    area: float | None | msgspec.UnsetType = UNSET
    iscrowd: int | bool | None | msgspec.UnsetType = UNSET
    raw: Raw = Raw()


def read_bytes(file: str | Path) -> bytes:
    """The content of a file.

    Raises:
        FileError: It is missing, a folder, or may not be read.
    """
    try:
        return Path(file).read_bytes()
    except FileNotFoundError:
        raise FileError(f"{file}: no such file.", "Check the path.") from None
    except IsADirectoryError:
        raise FileError(
            f"{file} is a folder.",
            "Name the annotation file; a labelling tool's folder needs `cvtk data convert` first.",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{file} cannot be read ({reason}).", "Check the path and its permissions."
        ) from None


def _where(data: bytes, error: Exception) -> str:
    """The line and column that a decoder's message points to, with the text that stands there."""
    found = re.search(r"byte (\d+)", str(error))
    if not found:
        return str(error)
    at = int(found[1])
    line, column = data.count(b"\n", 0, at) + 1, at - data.rfind(b"\n", 0, at)
    near = data[max(at - 20, 0) : at + 20].decode("utf-8", "replace")
    reason = re.sub(r"JSON is malformed: | ?\(byte \d+\)", "", str(error))
    return f"{reason} at line {line}, column {column}, near {near!r}"


def parse_json(data: bytes, file: str | Path, type: Any = Any) -> Any:
    """JSON text as Python objects.

    `NaN` and `Infinity`, which Python writes though JSON has no such numbers, are read as text, so that
    the item that holds one is named by whoever expects a number there.

    Raises:
        DataError: It is not JSON, or not of the type asked for.
    """
    if data.startswith(
        b"\xef\xbb\xbf"
    ):  # the mark that Windows editors put before UTF-8
        data = data[3:]
    try:
        try:
            return msgspec.json.decode(data, type=type)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            text = json.dumps(
                json.loads(data.decode("utf-8"), parse_constant=str), ensure_ascii=False
            )
            return msgspec.json.decode(text.encode("utf-8", "replace"), type=type)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{file} is not of the form expected: {error}.", "Is this the right file?"
        ) from None
    except RecursionError:
        raise DataError(
            f"{file} is nested too deeply to be an annotation file.", "Check the file."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error}).", "Save it as UTF-8."
        ) from None
    except ValueError as error:
        try:
            msgspec.json.decode(data, type=Raw)
            where = str(error)
        except (ValueError, RecursionError) as first:
            where = _where(data, first)
        raise DataError(
            f"{file} is not JSON: {where}.", "Export it again from the labelling tool."
        ) from None


def _describe(kind: str, index: int, raw: Raw) -> str:
    """How a message calls an item: its place in the list, and its id where it has one."""
    name = f"{kind}[{index}]"
    try:
        item = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return name
    if isinstance(item, dict):
        tell = item.get("file_name") or item.get("name")
        if isinstance(tell, str):
            return f"{name} ({show_id(tell)})"
        if isinstance(item.get("id"), (int, str)):
            return f"{name} (id {show_id(item['id'])})"
    return name


def _items(
    raws: list[Raw],
    kind: str,
    file: str | Path,
    complain: Callable[[str, DataError], None],
) -> Iterator[Any]:
    cls = _LISTS[kind]
    known = _KNOWN[cls]
    quick = msgspec.json.Decoder(_Strict) if cls is Annotation else None
    decode: Any = msgspec.json.Decoder(cls).decode
    fields = msgspec.json.Decoder(dict[str, Raw]).decode
    for index, raw in enumerate(raws):
        if quick is not None:
            try:
                s = quick.decode(raw)
                yield Annotation(
                    s.id, s.image_id, s.category_id, s.bbox, s.area, s.iscrowd, s.raw
                )
                continue
            except (ValueError, RecursionError):
                pass
        try:
            everything = fields(raw)
            extra = {
                key: value for key, value in everything.items() if key not in known
            }
            if "extra" in extra:  # a field of the source that happens to have our name
                item = decode(
                    msgspec.json.encode(
                        {k: v for k, v in everything.items() if k in known}
                    )
                )
            else:
                item = decode(raw)
            if extra:
                item.extra = extra
        except (ValueError, RecursionError) as error:
            reason = str(error).replace(" - at `$.", " at `").replace("Object ", "It ")
            name = _describe(kind, index, raw)
            complain(
                name,
                DataError(f"{file}: {name} is not as COCO has it: {reason}.", _REMEDY),
            )
            continue
        yield item


def parse(
    data: bytes,
    file: str | Path = "data",
    bad: Callable[[str, DataError], None] | None = None,
) -> Dataset:
    """A COCO document as a data set.

    Args:
        data: The JSON text.
        file: What messages call it; file names are relative to its folder.
        bad: Called with the name of each item that cannot be used, and why; without it, the first one
            raises.

    Raises:
        DataError: The text is not JSON, or not COCO.
    """

    def complain(item: str, error: DataError) -> None:
        if bad is None:
            raise error
        bad(item, error)

    if data.lstrip()[:1] == b"[":
        raise DataError(
            f"{file} is a JSON list, not a COCO data set.",
            "COCO results lack the images; a Label Studio export needs `cvtk data convert` first.",
        )
    top: dict[str, Raw] = parse_json(data, file, dict[str, Raw])
    missing = [key for key in _LISTS if key not in top]
    if missing:
        raise DataError(
            f"{file} is not a COCO data set: it has no {' and no '.join(map(repr, missing))}.",
            "If another tool wrote it, turn it into COCO with `cvtk data convert`.",
        )
    dataset = Dataset(folder=Path(file).parent, file=file)
    for kind in _LISTS:
        try:
            raws = msgspec.json.decode(top.pop(kind), type=list[Raw])
        except (ValueError, RecursionError):
            raise DataError(
                f"{file}: {kind!r} is not a list.", "Is this a COCO file?"
            ) from None
        setattr(dataset, kind, list(_items(raws, kind, file, complain)))
        del raws
    dataset.extra = top
    return dataset


def read(
    file: str | Path, bad: Callable[[str, DataError], None] | None = None
) -> Dataset:
    """Reads a COCO file.

    Args:
        file: The JSON file; file names in it are relative to its folder.
        bad: As in `parse`.

    Returns:
        The data set; `dump(read(file))` has every field of the file.

    Raises:
        FileError: The file is missing or unreadable.
        DataError: It is not JSON, or not COCO.
    """
    return parse(read_bytes(file), file, bad)


def _encode(item: Image | Annotation | Category) -> bytes:
    if item.extra is UNSET:
        return msgspec.json.encode(item)
    known = msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.replace(item, extra=UNSET)),
        type=dict[str, Raw],
    )
    return msgspec.json.encode({**known, **item.extra})


def _chunks(dataset: Dataset) -> Iterator[bytes]:
    yield b"{"
    for key, value in dataset.extra.items():
        yield msgspec.json.encode(key) + b":" + bytes(value) + b",\n"
    for kind in _LISTS:
        yield b"" if kind == "images" else b",\n"
        yield f'"{kind}":['.encode()
        for index, item in enumerate(getattr(dataset, kind)):
            yield (b",\n" if index else b"\n") + _encode(item)
        yield b"]"
    yield b"}\n"


def dump(dataset: Dataset) -> bytes:
    """A data set as a COCO document, one item a line, so that versions can be compared by line."""
    return b"".join(_chunks(dataset))


def write(dataset: Dataset, file: str | Path, *, force: bool = False) -> None:
    """Writes a COCO file.

    Raises:
        FileError: The file exists and `force` was not said, or cannot be written.
    """
    with (
        written_whole(Path(file), force=force) as part,
        part.open("wb", buffering=1 << 20) as out,
    ):
        out.writelines(_chunks(dataset))
