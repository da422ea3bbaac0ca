"""Checks of one data set without its images: ids, names, boxes and masks, twenty thousand at a time."""

from __future__ import annotations

from collections import Counter

from cvtk.data.images import resolve
from cvtk.data.masks import require_size
from cvtk.data.model import Dataset, show_id
from cvtk.data.objects import check_part
from cvtk.data.problems import Problems, Severity
from cvtk.errors import DataError, did_you_mean

_CHUNK = 20_000
_FIX = "`cvtk data check FILE --fix OUT.json` mends it."
_DROP = "Label it again, or let `cvtk data check FILE --fix OUT.json` drop it."
FEW = 10  # a class with fewer examples is hardly learnt


def check_dataset(
    dataset: Dataset,
    problems: Problems,
    labels: list[str] | None = None,
    *,
    few: int = FEW,
) -> None:
    """Checks all that can be checked without opening images.

    Args:
        dataset: The set.
        problems: Gets what is found.
        labels: The class names of the label file, where there is one.
        few: A class with fewer annotations gets a warning.
    """
    check_names(dataset, problems, labels, few)
    check_items(dataset, problems)
    seen: set[int] = set()
    images = {image.id: image for image in dataset.images}
    known = {category.id for category in dataset.categories}
    masks = any(a.has_mask for a in dataset.annotations)
    for start in range(0, len(dataset.annotations), _CHUNK):
        part = dataset.annotations[start : start + _CHUNK]
        check_part(part, dataset, images, known, problems, masks, seen)


def check_names(
    dataset: Dataset, problems: Problems, labels: list[str] | None, few: int = FEW
) -> None:
    """Category ids and names, and whether they are those of the label file."""
    file = dataset.file
    for name, n in Counter(dataset.class_names).items():
        if n > 1:
            text = "Give each class one entry, for example with `cvtk data combine`."
            problems.add(
                "error",
                "class twice",
                file,
                f"class {name!r}",
                f"{n} categories have this name",
                text,
            )
    for id_, n in Counter(c.id for c in dataset.categories).items():
        if n > 1:
            item = f"category {show_id(id_)}"
            problems.add(
                "error",
                "id twice",
                file,
                item,
                f"{n} categories have this id",
                "Number them anew.",
            )
    counts = dataset.counts()
    for name, n in counts.items():
        if not n:
            problems.add(
                "note", "class unused", file, f"class {name!r}", "it has no annotations"
            )
        elif n < few:
            text = f"it has {n} annotations"
            problems.add(
                "warning",
                "few examples",
                file,
                f"class {name!r}",
                text,
                "Label more of them.",
            )
    if labels is None:
        return
    for name in dataset.class_names:
        if name not in labels:
            close = (
                did_you_mean(name, labels)
                or f"The label file has: {', '.join(labels[:20])}."
            )
            severity: Severity = "error" if counts[name] else "warning"
            text = f"the label file does not name it. {close}"
            problems.add(
                severity,
                "class name",
                file,
                f"class {name!r}",
                text,
                "Let both name the class alike.",
            )
    for name in labels:
        if name not in dataset.class_names:
            close = did_you_mean(name, dataset.class_names)
            text = f"no category has this name of the label file. {close}".strip()
            problems.add(
                "warning",
                "class name",
                file,
                f"label {name!r}",
                text,
                "Let both name it alike.",
            )


def check_items(dataset: Dataset, problems: Problems) -> None:
    """Ids, file names and sizes of images, and ids of annotations."""
    file, names = dataset.file, Counter(image.file_name for image in dataset.images)
    for kind, items in (("image", dataset.images), ("annotation", dataset.annotations)):
        ids = [item.id for item in items]  # type: ignore[attr-defined]
        if len(set(ids)) < len(ids):
            for id_, n in Counter(ids).items():
                if n > 1:
                    item = f"{kind} {show_id(id_)}"
                    problems.add(
                        "error",
                        "id twice",
                        file,
                        item,
                        f"{n} {kind}s have this id",
                        _FIX,
                    )
    for image in dataset.images:
        item = f"image {show_id(image.id)} ({image.file_name[:100]})"
        try:
            resolve(dataset.folder, image.file_name)
        except DataError as error:
            problems.add("error", "file name", file, item, error.message, error.remedy)
        try:
            require_size(image.width, image.height)
        except DataError as error:
            problems.add("error", "image size", file, item, error.message, _FIX)
        if names[image.file_name] > 1:
            text = "another image has the same file name"
            problems.add(
                "error",
                "image twice",
                file,
                item,
                text,
                "Combine their annotations under one id.",
            )
    used = {a.image_id for a in dataset.annotations}
    empty = [image for image in dataset.images if image.id not in used]
    for image in empty:
        text = "it has no annotations, and trains as background"
        problems.add("note", "image without annotations", file, image.file_name, text)
    if not dataset.annotations:
        problems.add(
            "error",
            "no annotations",
            file,
            "annotations",
            "there are none",
            "Label some images.",
        )
