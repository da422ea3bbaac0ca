"""Combining data sets, and removing parts of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cvtk.data.coco import read, write
from cvtk.data.images import resolve
from cvtk.data.keypoints import require_same_keypoints
from cvtk.data.relocate import relocate_dataset, relocate_images, require_other
from cvtk.data.types import Category, Dataset, Id, Image, Source
from cvtk.errors import DataError, did_you_mean
from cvtk.io import require_free


def combine(datasets: list[Dataset]) -> tuple[Dataset, dict[Id, Source]]:
    """Several sets as one: classes of equal names become one, ids are numbered anew from 1.

    Images keep their own files: those of equal name from different folders stay apart.

    Args:
        datasets: Two or more sets.

    Returns:
        The set, and where its images are (for `relocate_images`).

    Raises:
        DataError: One image is in two sets, or an annotation points nowhere.
    """
    together = _Combination(Dataset(folder=datasets[0].folder))
    for dataset in datasets:
        together.add(dataset)
    return together.result, together.sources


@dataclass
class _Combination:
    """A set that grows by others.

    Attributes:
        result: All so far.
        sources: Where its images are.
        classes: Its categories by name.
        owners: Each image's place, and the file that it came with.
        names: The names of its images.
    """

    result: Dataset
    sources: dict[Id, Source] = field(default_factory=dict)
    classes: dict[str, Category] = field(default_factory=dict)
    owners: dict[Path, Path | None] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def add(self, dataset: Dataset) -> None:
        """Adds a set, numbering its items on."""
        for key, value in dataset.extra.items():
            self.result.extra.setdefault(key, value)
        categories: dict[Id, Id] = {}
        for category in dataset.categories:
            new = msgspec.structs.replace(category, id=len(self.classes) + 1)
            known = self.classes.setdefault(category.name, new)
            require_same_keypoints(known, category, dataset.file)
            categories[category.id] = known.id
        self.result.categories = list(self.classes.values())
        images = {image.id: self._add_image(image, dataset) for image in dataset.images}
        if len(images) < len(dataset.images) or len(categories) < len(
            dataset.categories
        ):
            raise DataError(
                f"{dataset.file}: ids of images or categories repeat.",
                "Mend it with `cvtk data check FILE --fix OUT.json`.",
            )
        for annotation in dataset.annotations:
            if (
                annotation.image_id not in images
                or annotation.category_id not in categories
            ):
                raise DataError(
                    f"{dataset.file}: annotation {annotation.id!r} points to an image or category that is "
                    "not there.",
                    "Mend it with `cvtk data check FILE --fix OUT.json`.",
                )
            self.result.annotations.append(
                msgspec.structs.replace(
                    annotation,
                    id=len(self.result.annotations) + 1,
                    image_id=images[annotation.image_id],
                    category_id=categories[annotation.category_id],
                )
            )

    def _add_image(self, image: Image, dataset: Dataset) -> Id:
        """Adds an image; gives its new id."""
        place = resolve(dataset.folder, image.file_name).resolve()
        if place in self.owners:
            raise DataError(
                f"{dataset.file}: the image {image.file_name!r} is in {self.owners[place]} too.",
                "Remove it from one of them with `cvtk data remove`.",
            )
        self.owners[place] = dataset.file
        name = image.file_name.replace("\\", "/")
        if name in self.names:  # of another folder
            name = f"{dataset.folder.absolute().name}/{name}"
            while name in self.names:
                name = f"_{name}"
        self.names.add(name)
        number = len(self.result.images) + 1
        self.sources[number] = place
        self.result.images.append(
            msgspec.structs.replace(image, id=number, file_name=name)
        )
        return number


def _matches(value: Id, name: str, wanted: set[str], used: set[str]) -> bool:
    hits = {w for w in wanted if w in (str(value), name, name.rsplit("/", 1)[-1])}
    used |= hits
    return bool(hits)


def remove(
    dataset: Dataset,
    *,
    images: Iterable[str] = (),
    classes: Iterable[str] = (),
    annotations: Iterable[str] = (),
    empty: bool = False,
) -> Dataset:
    """A set without some of its parts.

    Args:
        dataset: The set; not changed.
        images: Ids or file names of images that go, with their annotations.
        classes: Names or ids of classes that go, with their annotations.
        annotations: Ids of annotations that go.
        empty: Whether images without annotations go too.

    Raises:
        DataError: Something to be removed is not there.
    """
    used: set[str] = set()
    gone_images, gone_classes, gone = set(images), set(classes), set(annotations)
    kept_images = [
        i for i in dataset.images if not _matches(i.id, i.file_name, gone_images, used)
    ]
    _all_used(
        "image", gone_images, used, [i.file_name for i in dataset.images], dataset
    )
    used = set()
    kept_classes = [
        c for c in dataset.categories if not _matches(c.id, c.name, gone_classes, used)
    ]
    _all_used("class", gone_classes, used, dataset.class_names, dataset)
    _all_used(
        "annotation", gone, {str(a.id) for a in dataset.annotations} & gone, [], dataset
    )
    image_ids, class_ids = {i.id for i in kept_images}, {c.id for c in kept_classes}
    kept = [
        a
        for a in dataset.annotations
        if a.image_id in image_ids
        and a.category_id in class_ids
        and str(a.id) not in gone
    ]
    if empty:
        filled = {a.image_id for a in kept}
        kept_images = [i for i in kept_images if i.id in filled]
    return Dataset(
        kept_images,
        kept,
        kept_classes,
        folder=dataset.folder,
        file=dataset.file,
        extra=dataset.extra,
    )


def _all_used(
    kind: str, wanted: set[str], used: set[str], names: list[str], dataset: Dataset
) -> None:
    for name in sorted(wanted - used):
        raise DataError(
            f"{dataset.file} has no {kind} {name!r}.",
            did_you_mean(name, names) or "Nothing was done.",
        )


def combine_files(
    sources: list[Path], target: Path, *, force: bool = False
) -> tuple[Dataset, int]:
    """Combines COCO files into one; images are copied only where `target`'s folder does not hold them.

    Returns:
        The set, and how many images were copied.

    Raises:
        FileError: A file is missing, or `target` exists.
        DataError: A file is not COCO, or there is only one.
    """
    require_free(target, force=force)
    if len(sources) < 2:
        raise DataError(
            "There is only one set to combine.",
            "Give two files or more, and then the target.",
        )
    dataset, places = combine([read(file) for file in sources])
    dataset, copied = relocate_images(dataset, places, target.parent)
    write(dataset, target, force=force)
    return dataset, copied


def remove_from_file(
    source: Path,
    target: Path,
    *,
    images: Iterable[str] = (),
    classes: Iterable[str] = (),
    annotations: Iterable[str] = (),
    empty: bool = False,
    force: bool = False,
) -> tuple[Dataset, Dataset]:
    """Writes a COCO file without some parts, as `remove` does.

    Returns:
        The set before and after.

    Raises:
        FileError: The file is missing, or `target` exists.
        DataError: It is not COCO, or something to be removed is not there.
    """
    require_other(source, target, force=force)
    before = read(source)
    after = remove(
        before, images=images, classes=classes, annotations=annotations, empty=empty
    )
    after = relocate_dataset(after, target.parent)
    write(after, target, force=force)
    return before, after
