"""Reading and writing COCO files (https://cocodataset.org/#format-data): fast, tolerant, and to the letter.

Each image, annotation and category is checked as it is read. Fields this package does not know are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from cvtk.data.json_text import parse_json
from cvtk.data.masks import area_and_bbox
from cvtk.data.types import NO_RAW, Annotation, Category, Dataset, Image, show_id
from cvtk.errors import DataError
from cvtk.io import atomic_write, read_bytes

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
    raw: Raw = NO_RAW


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


def _decode_item(
    raw: Raw, decode: Any, everything: dict[str, Raw], known: frozenset[str]
) -> Any:
    """An item with the fields that this package does not know in `extra`."""
    extra = {key: value for key, value in everything.items() if key not in known}
    number = _CROWD.get(bytes(everything.get("iscrowd", b"")).lower())
    if number is not None:
        everything["iscrowd"] = Raw(number)
    if number is not None or "extra" in extra:  # a field that happens to have our name
        own = {key: value for key, value in everything.items() if key in known}
        raw = Raw(msgspec.json.encode(own))
    item = decode(raw)
    if extra:
        item.extra = extra
    return item


# Texts in place of 0 and 1, as some tools write them.
_CROWD = {b'"false"': b"0", b'"0"': b"0", b'"true"': b"1", b'"1"': b"1"}


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
            item = _decode_item(raw, decode, fields(raw), known)
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

    top = _top(data, file, list(_LISTS))
    dataset = Dataset(folder=Path(file).parent, file=file)
    for kind in _LISTS:
        setattr(dataset, kind, _list(top.pop(kind), kind, file, complain))
    dataset.extra = top
    return dataset


def _top(data: bytes, file: str | Path, needed: list[str]) -> dict[str, Raw]:
    """The fields of a COCO document as JSON text."""
    if data.lstrip()[:1] == b"[":
        raise DataError(
            f"{file} is a JSON list, not a COCO data set.",
            "COCO results lack the images; a Label Studio export needs `cvtk data convert` first.",
        )
    top: dict[str, Raw] = parse_json(data, file, dict[str, Raw])
    missing = [key for key in needed if key not in top]
    if missing:
        raise DataError(
            f"{file} is not a COCO data set: it has no {' and no '.join(map(repr, missing))}.",
            "If another tool wrote it, turn it into COCO with `cvtk data convert`.",
        )
    return top


def _list(
    raw: Raw,
    kind: str,
    file: str | Path,
    complain: Callable[[str, DataError], None],
) -> list[Any]:
    """One of the document's lists, item by item."""
    try:
        raws = msgspec.json.decode(raw, type=list[Raw])
    except (ValueError, RecursionError):
        raise DataError(
            f"{file}: {kind!r} is not a list.", "Is this a COCO file?"
        ) from None
    return list(_items(raws, kind, file, complain))


def read_images(file: str | Path) -> Dataset:
    """Reads the images of a COCO file alone, which needs no annotations or categories then.

    Raises:
        FileError: The file is missing or unreadable.
        DataError: It is not JSON, or has no list of images.
    """

    def complain(item: str, error: DataError) -> None:
        raise error

    top = _top(read_bytes(file), file, ["images"])
    images = _list(top["images"], "images", file, complain)
    return Dataset(images, folder=Path(file).parent, file=file)


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
    """A data set as a COCO document, one item per line, so that versions can be compared by line."""
    return b"".join(_chunks(dataset))


def write(dataset: Dataset, file: str | Path, *, force: bool = False) -> None:
    """Writes a COCO file.

    Raises:
        FileError: The file exists and `force` was not said, or cannot be written.
    """
    with (
        atomic_write(Path(file), force=force) as part,
        part.open("wb", buffering=1 << 20) as out,
    ):
        out.writelines(_chunks(dataset))


def to_dict(dataset: Dataset) -> dict[str, Any]:
    """A data set as the plain dictionary that its JSON is, complete enough for training and evaluation.

    Boxes, areas and `iscrowd` that the source leaves out are filled in, since MMDetection stops where one is
    missing. Annotations are numbered anew where an id is below 1, which pycocotools takes for "no object".

    Args:
        dataset: A set that `cvtk.data.checks.require_trainable` has passed; not changed.

    Returns:
        `images`, `annotations` with their segmentations, `categories`, and all other fields of the source.

    Raises:
        DataError: An annotation has neither mask nor box, or a mask that cannot be drawn.
    """
    sizes = {image.id: image.size for image in dataset.images}
    renumber = any(isinstance(a.id, int) and a.id < 1 for a in dataset.annotations)
    annotations = []
    for number, annotation in enumerate(dataset.annotations, 1):
        item: dict[str, Any] = msgspec.json.decode(_encode(annotation))
        _complete(item, annotation, sizes.get(annotation.image_id))
        if renumber:
            item["id"] = number
        annotations.append(item)
    extra = {key: msgspec.json.decode(value) for key, value in dataset.extra.items()}
    return {
        **extra,
        "images": [msgspec.json.decode(_encode(image)) for image in dataset.images],
        "annotations": annotations,
        "categories": [msgspec.json.decode(_encode(c)) for c in dataset.categories],
    }


def _complete(
    item: dict[str, Any], annotation: Annotation, size: tuple[int, int] | None
) -> None:
    """Fills in the box, area and `iscrowd` of an annotation as its dictionary."""
    item["iscrowd"] = int(annotation.is_crowd)
    if item.get("bbox") and item.get("area") is not None:
        return
    segmentation = annotation.segmentation
    if segmentation and size:
        area, box = area_and_bbox(segmentation, *size)
    elif annotation.box:
        box = annotation.box
        area = box[2] * box[3]
    else:
        raise DataError(
            f"annotation {show_id(annotation.id)} has neither mask nor box.", _REMEDY
        )
    if not item.get("bbox"):
        item["bbox"] = box
    if item.get("area") is None:
        item["area"] = area
