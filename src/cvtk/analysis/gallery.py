"""The worst cases of each kind of error: what is true beside what was predicted, cropped with context."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk.analysis.matching import NOTHING
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.study import Study
from cvtk.data.images import read_image, resolve
from cvtk.data.reading import AS_SEEN
from cvtk.errors import CvtkError
from cvtk.io import CocoRLE, decode_mask
from cvtk.visual.fonts import writable
from cvtk.visual.overlays import draw_objects

CASES = 6
"""How many cases of each kind are shown."""

SHOWN = (
    Outcome.MISSED,
    Outcome.BACKGROUND,
    Outcome.WRONG_CLASS,
    Outcome.POOR_MASK,
    Outcome.WRONG_CLASS_AND_POOR_MASK,
    Outcome.DUPLICATE,
)

_SIDE = 300  # of a crop as it is shown, in pixels
_LEAST_CROP = 64  # in pixels of the image
_MOST_DRAWN = 30  # objects in one crop
_LEAST_SURE = 0.5  # a score
_LEAST_RIGHT = 10  # right predictions of a class, to know how sure the model is of it

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True)
class Case:
    """One error.

    Attributes:
        outcome: Its kind.
        true: The object concerned, or NOTHING.
        found: The detection concerned, or NOTHING.
        look_again: Whether the annotation may be what is wrong.
    """

    outcome: Outcome
    true: int
    found: int
    look_again: bool


@dataclass(frozen=True)
class Picture:
    """A case, drawn.

    Attributes:
        case: What is shown.
        image: The file name of the image.
        true: The crop with the true objects, as JPEG in base64; empty where the image cannot be read.
        found: The same with the predictions above the cut.
    """

    case: Case
    image: str
    true: str
    found: str


@dataclass(frozen=True)
class Shape:
    """An object or a detection, as it is drawn.

    Attributes:
        bbox: x, y, width, height in pixels.
        mask: Compressed RLE, or None where there are boxes only.
        label: The index of its class, which picks its colour.
        name: What is written beside it; empty but for the one in question.
    """

    bbox: Sequence[float]
    mask: CocoRLE | None
    label: int
    name: str


def worst_cases(study: Study, outcome: Outcome, most: int = CASES) -> list[Case]:
    """The cases of an error that matter most: predictions of the highest score, and the largest objects missed.

    An error that is surer than most of the right predictions of its class, of which there are some, and than a
    half, may be an error of the annotation, which says that there is nothing, or an object of another class that
    was not found.
    """
    told = study.outcomes
    if outcome is Outcome.MISSED:
        objects = np.flatnonzero(told.true == Outcome.MISSED)
        largest = objects[np.argsort(-study.true_area[objects], kind="stable")]
        return [Case(outcome, int(i), NOTHING, False) for i in largest[:most]]
    chosen = np.flatnonzero(study.is_kept & (told.detection == outcome))[:most]
    sure = _sure_scores(study)
    cases = []
    for index in chosen:
        true = int(told.about[index])
        is_open = outcome is Outcome.BACKGROUND or (
            outcome is Outcome.WRONG_CLASS and told.true[true] != Outcome.CORRECT
        )
        least = sure[study.matches.found.category[index] - 1]
        is_sure = study.matches.found.score[index] >= least
        cases.append(Case(outcome, true, int(index), bool(is_open and is_sure)))
    return cases


def draw_cases(study: Study, cases: Sequence[Case]) -> list[Picture]:
    """Draws cases, in their order; each image is read once."""
    images = {image_of(study, case) for case in cases}
    drawn: dict[Case, Picture] = {}
    for number in sorted(images):
        name = study.matches.truth.image_names[number - 1]
        try:
            pixels = read_image(resolve(study.dataset.folder, name), AS_SEEN)
        except CvtkError:
            pixels = None  # the report says what is known without it
        for case in cases:
            if image_of(study, case) == number:
                drawn[case] = _draw(study, case, number, name, pixels)
    return [drawn[case] for case in cases]


def _sure_scores(study: Study) -> NDArray[np.float64]:
    """(K,) the median score of the right predictions of each class, at least a half; infinite where they are few."""
    found, told = study.matches.found, study.outcomes
    least = []
    for number in range(1, len(study.matches.truth.classes) + 1):
        right = (
            study.is_kept
            & (found.category == number)
            & (told.detection == Outcome.CORRECT)
        )
        is_known = right.sum() >= _LEAST_RIGHT
        least.append(float(np.median(found.score[right])) if is_known else np.inf)
    return np.maximum(least, _LEAST_SURE)


def image_of(study: Study, case: Case) -> int:
    """The number of the image of a case, from 1."""
    if case.found != NOTHING:
        return int(study.matches.found.image[case.found])
    return int(study.matches.true_image[case.true])


def _draw(
    study: Study,
    case: Case,
    image: int,
    name: str,
    pixels: NDArray[np.uint8] | None,
) -> Picture:
    if pixels is None:
        return Picture(case, name, "", "")
    matches = study.matches
    objects = np.flatnonzero((matches.true_image == image) & ~matches.is_crowd)
    found = np.flatnonzero((matches.found.image == image) & study.is_kept)
    true = [_true_shape(study, i, is_named=i == case.true) for i in objects]
    predicted = [_found_shape(study, i, is_named=i == case.found) for i in found]
    named = [shape.bbox for shape in (*true, *predicted) if shape.name]
    crop = crop_around(named, (pixels.shape[1], pixels.shape[0]))
    return Picture(
        case, name, _crop(pixels, crop, true), _crop(pixels, crop, predicted)
    )


def _true_shape(study: Study, index: int, *, is_named: bool) -> Shape:
    true = study.matches.truth.objects[index]
    name = _written(study, true.category) if is_named else ""
    return Shape(true.bbox, true.mask, true.category - 1, name)


def _found_shape(study: Study, index: int, *, is_named: bool) -> Shape:
    found = study.matches.found
    category = int(found.category[index])
    name = _written(study, category) if is_named else ""
    mask = None if found.masks is None else found.masks[index]
    return Shape(found.bbox[index].tolist(), mask, category - 1, name)


def _written(study: Study, category: int) -> str:
    """The name of a class on one line; its number where no font here can write it."""
    name = " ".join(study.matches.truth.classes[category - 1].split())
    return name if name and writable(name) else f"#{category}"


def crop_around(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> Box:
    """A square around boxes with as much context again, inside the image where it fits.

    Args:
        boxes: Each x, y, width, height in pixels.
        size: Width and height of the image in pixels.
    """
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    left, top = corners[:, :2].min(axis=0)
    right, bottom = corners[:, 2:].max(axis=0)
    side = max(2 * max(right - left, bottom - top), _LEAST_CROP)
    starts = []
    for centre, length in zip(
        ((left + right) / 2, (top + bottom) / 2), size, strict=True
    ):
        starts.append(int(max(0, min(centre - side / 2, length - side))))
    x, y = starts
    return x, y, int(min(x + side, size[0])), int(min(y + side, size[1]))


def _crop(pixels: NDArray[np.uint8], crop: Box, shapes: Sequence[Shape]) -> str:
    """A part of an image with what lies in it, as JPEG in base64."""
    left, top, right, bottom = crop
    part = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    scale = _SIDE / max(part.size)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    inside = [shape for shape in shapes if _overlaps(shape.bbox, crop)]
    inside.sort(key=lambda shape: not shape.name)  # the one in question first
    inside = inside[:_MOST_DRAWN]
    boxes, masks = [], []
    for shape in inside:
        x, y, w, h = shape.bbox
        boxes.append(((x - left) * scale, (y - top) * scale, w * scale, h * scale))
        if shape.mask is not None:
            mask = decode_mask(shape.mask)[top:bottom, left:right]
            masks.append(_scaled(mask, size))
    picture = draw_objects(
        part.resize(size),
        bboxes=np.array(boxes).reshape(-1, 4),
        labels=np.array([shape.label for shape in inside], dtype=np.int64),
        texts=[shape.name for shape in inside],
        masks=masks or None,
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _overlaps(box: Sequence[float], crop: Box) -> bool:
    x, y, w, h = box
    return x < crop[2] and y < crop[3] and x + w > crop[0] and y + h > crop[1]


def _scaled(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    resized = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    return np.asarray(resized)
