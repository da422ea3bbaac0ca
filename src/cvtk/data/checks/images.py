"""Checks of images: their entries in the file, and the image files themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cvtk.data.checks.chunk import FIX
from cvtk.data.checks.problems import Problems
from cvtk.data.formats.finder import find_beside
from cvtk.data.ids import is_usable
from cvtk.data.images import (
    ImageFacts,
    in_parallel,
    probe,
    read_image,
    resolve,
    too_thin,
)
from cvtk.data.masks import require_size
from cvtk.data.reading import USUAL, Reading
from cvtk.data.types import Annotation, Dataset, Id, Image, show_id
from cvtk.errors import CvtkError, DataError, FileError

Progress = Callable[[int, int], None]

_SHOWN = 5
BESIDE = (
    "The image lies in a folder beside that of the file: `cvtk data convert FILE ALL.json`, with ALL.json "
    "above both, makes a set that finds it."
)
_REPLACE = "`cvtk data check FILE --fix OUT.json` drops or corrects it, or put the right image there."


def check_entries(dataset: Dataset, problems: Problems) -> None:
    """Checks ids, file names and sizes as the file states them, and that there are annotations."""
    file = dataset.file
    _check_ids("image", dataset.images, file, problems)
    _check_ids("annotation", dataset.annotations, file, problems)
    names = Counter(image.file_name for image in dataset.images)
    used = {annotation.image_id for annotation in dataset.annotations}
    for image in dataset.images:
        item = image.describe()
        try:
            resolve(dataset.folder, image.file_name)
        except DataError as error:
            problems.add("error", "file name", file, item, error.message, error.remedy)
        try:
            require_size(image.width, image.height)
        except DataError as error:
            problems.add("error", "image size", file, item, error.message, FIX)
        if names[image.file_name] > 1:
            text = "another image has the same file name"
            problems.add("error", "image twice", file, item, text, FIX)
        if image.id not in used:
            text = "it has no annotations, and trains as background"
            kind = "image without annotations"
            problems.add("note", kind, file, image.file_name, text)
    if not dataset.annotations:
        kind, text = "no annotations", "the file has no annotations"
        problems.add("error", kind, file, "annotations", text, "Label some images.")


def _check_ids(
    kind: str,
    items: Sequence[Image | Annotation],
    file: Path | None,
    problems: Problems,
) -> None:
    ids: list[Id] = [item.id for item in items]
    if len(set(ids)) < len(ids):
        for identifier, n in Counter(ids).items():
            if n > 1:
                name, text = (
                    f"{kind} {show_id(identifier)}",
                    f"{n} {kind}s have this id",
                )
                problems.add("error", "id twice", file, name, text, FIX)
    for identifier in ids:
        if not is_usable(identifier):
            name = f"{kind} {show_id(identifier)}"
            text = "its id is a text or too large; training needs a number"
            problems.add("error", "id form", file, name, text, FIX)


def check_files(
    dataset: Dataset, problems: Problems, progress: Callable[[], None] | None = None
) -> list[ImageFacts]:
    """Opens the image files of a set.

    Args:
        dataset: The set.
        problems: Gets what is found.
        progress: Called after each image.

    Returns:
        What is known of each image, in order; nothing of those whose names lead out of the folder.
    """
    places: list[Path | None] = []
    for image in dataset.images:
        try:
            places.append(resolve(dataset.folder, image.file_name))
        except DataError:  # reported with the names already
            places.append(None)
    opened = in_parallel(
        lambda place: probe(place, look=True) if place else ImageFacts(Path()), places
    )
    found = []
    for image, facts in zip(dataset.images, opened, strict=True):
        if progress is not None:
            progress()
        found.append(facts)
        if facts.path != Path():
            _check_file(image, facts, dataset.file, problems)
    return found


def _check_file(
    image: Image, facts: ImageFacts, file: Path | None, problems: Problems
) -> None:
    item = image.describe()
    problem = image_problem(image, facts)
    if problem:
        kind = facts.error or "image size"
        beside = facts.error == "missing" and _is_beside(image, file)
        remedy = BESIDE if beside else _REPLACE
        problems.add("error", kind, file, item, problem, remedy)
    elif facts.opencv_differs:
        text = (
            f"EXIF turns it for display, which OpenCV does not do with {facts.format}: a vanilla script, or "
            "MMDetection itself, would see it unturned, or not at all"
        )
        remedy = (
            "Save it turned, for example with ImageMagick's `mogrify -auto-orient`."
        )
        problems.add("warning", "EXIF rotated", file, item, text, remedy)
    elif facts.orientation != 1:
        text = "EXIF turns it for display, and training too reads it turned"
        remedy = "Make sure that its outlines were drawn on the turned image."
        problems.add("note", "EXIF rotated", file, item, text, remedy)


def _is_beside(image: Image, file: Path | None) -> bool:
    """Whether the image lies in a folder beside that of the annotation file."""
    return file is not None and find_beside(file.parent, image.file_name) is not None


def image_problem(image: Image, facts: ImageFacts) -> str:
    """What is wrong with an image file, in words; empty where nothing is."""
    if facts.error:
        return facts.trouble
    if image.size is not None and image.size != (facts.width, facts.height):
        turned = image.size == (facts.height, facts.width) and facts.orientation >= 5
        why = " because its EXIF orientation turns it" if turned else ""
        return (
            f"the image is {facts.width} x {facts.height} pixels{why}, "
            f"the annotations say {image.width} x {image.height}"
        )
    return too_thin(facts.width, facts.height)


def require_images(dataset: Dataset, reading: Reading = USUAL) -> list[ImageFacts]:
    """Opens every image of a set, and refuses it where one cannot be used.

    Args:
        dataset: The set; file names are relative to its folder.
        reading: How they are read.

    Returns:
        What is known of each, its looks included.

    Raises:
        FileError: Images are missing.
        DataError: Images are cut off, or of another size than the file says. The message names the first
            five and counts the rest.
    """
    looked = list(
        in_parallel(lambda image: _look_at(dataset, image, reading), dataset.images)
    )
    errors = [found for found in looked if isinstance(found, CvtkError)]
    if not errors:
        return [facts for facts in looked if isinstance(facts, ImageFacts)]
    shown = " ".join(error.message for error in errors[:_SHOWN])
    more = f" And {len(errors) - _SHOWN} more." if len(errors) > _SHOWN else ""
    raise type(errors[0])(
        f"{dataset.file}: {len(errors)} of {len(dataset.images)} images cannot be used. {shown}{more}",
        f"Look with `cvtk data check {dataset.file}`; file names are relative to {dataset.folder}.",
    )


def _look_at(
    dataset: Dataset, image: Image, reading: Reading
) -> ImageFacts | CvtkError:
    try:
        facts = probe(resolve(dataset.folder, image.file_name), look=True)
        if not facts.error and (facts.deep or reading.page > 1 or reading.channels):
            # Whether it has that page and channels; pages may be of different sizes.
            height, width = read_image(facts.path, reading).shape[:2]
            facts = replace(facts, height=height, width=width)
        problem = image_problem(image, facts)
    except CvtkError as error:
        return error
    if not problem:
        return facts
    kind = FileError if facts.error == "missing" else DataError
    return kind(f"{image.file_name}: {problem}.")
