"""The platform's annotations of boxes: a text file for each image, in the format that it calls ark."""

from __future__ import annotations

from pathlib import Path

from cvtk.errors import CvtkError
from cvtk.io import read_text
from cvtk.ymir.failures import Code, Failure


def read_boxes(file: Path, classes: int) -> list[tuple[int, list[float]]]:
    """The objects of an image.

    A line has a class, as a number from 0 in the platform's order, and the first and last pixels of its box: x and y of
    the upper left, x and y of the lower right. What follows, a quality and an angle, is passed over.

    Args:
        file: Such as `0, 10, 20, 59, 49, 1.0, 0.0`, one line for each object.
        classes: How many there are.

    Returns:
        The class of each object, counted from 1, and its box [x, y, width, height] in pixels.

    Raises:
        Failure: A line is something else.
    """
    try:
        lines = read_text(file).splitlines()
    except CvtkError as error:
        raise Failure(Code.DATA, error.message, error.remedy) from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [int(value) for value in line.split(",")[:5]]
            category, left, top, right, bottom = values
        except ValueError:
            raise Failure(
                Code.DATA,
                f"{file}: line {number} is not a class and four pixels: {line[:80]!r}.",
                "Keep export_format as this executor's training template has it.",
            ) from None
        if not 0 <= category < classes:
            raise Failure(
                Code.DATA,
                f"{file}: line {number} has the class {category}, and there are {classes}, from 0.",
            )
        box = [left, top, right - left + 1, bottom - top + 1]
        found.append((category + 1, [float(value) for value in box]))
    return found
