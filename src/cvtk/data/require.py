"""The quick check before training: every image is there, whole, and of the size that the JSON says."""

from __future__ import annotations

from pathlib import Path

from cvtk.data.coco import read
from cvtk.data.images import _TELL, ImageFacts, in_parallel, probe, resolve
from cvtk.data.model import Dataset, Image
from cvtk.errors import CvtkError, DataError, FileError

_SHOWN = 5


def image_problem(image: Image, facts: ImageFacts) -> str:
    """What is wrong with an image file, in words; empty where nothing is."""
    if facts.error:
        return f"{_TELL[facts.error]} ({facts.detail})"
    if image.size is not None and image.size != (facts.width, facts.height):
        turned = image.size == (facts.height, facts.width) and facts.orientation >= 5
        why = " because its EXIF orientation turns it" if turned else ""
        return (
            f"the image is {facts.width} x {facts.height} pixels{why}, "
            f"the annotations say {image.width} x {image.height}"
        )
    return ""


def _check(dataset: Dataset, image: Image) -> CvtkError | None:
    try:
        facts = probe(resolve(dataset.folder, image.file_name))
    except CvtkError as error:
        return error
    problem = image_problem(image, facts)
    if not problem:
        return None
    kind = FileError if facts.error == "missing" else DataError
    return kind(f"{image.file_name}: {problem}.")


def require_images(json_path: str | Path) -> None:
    """Opens every image that a COCO file names.

    Args:
        json_path: The COCO file; file names are relative to its folder.

    Raises:
        FileError: Images are missing, or the file is.
        DataError: Images are cut off, or of another size than the file says; or the file is not COCO.
            The message names the first five and counts the rest.
    """
    dataset = read(json_path)
    errors = [
        e
        for e in in_parallel(lambda image: _check(dataset, image), dataset.images)
        if e is not None
    ]
    if not errors:
        return
    shown = " ".join(error.message for error in errors[:_SHOWN])
    more = f" And {len(errors) - _SHOWN} more." if len(errors) > _SHOWN else ""
    raise type(errors[0])(
        f"{json_path}: {len(errors)} of {len(dataset.images)} images cannot be used. {shown}{more}",
        f"Look with `cvtk data check {json_path}`; file names are relative to {dataset.folder}.",
    )
