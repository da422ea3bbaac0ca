"""The worst cases as a COCO file, to be opened in a labelling tool: often it is the annotation that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw

from cvtk.analysis.gallery import SHOWN, Case, image_of, worst_cases
from cvtk.analysis.matching import NOTHING
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.study import Study
from cvtk.data import Annotation, Category, Dataset
from cvtk.data.coco import write
from cvtk.data.contours import trace
from cvtk.data.types import RLE, Id, Polygons
from cvtk.io import CocoRLE, decode_mask

FILE = "worst_cases.coco.json"

CHECK = "check: "
"""What the names of the classes of predictions begin with, so that they are not taken for labels."""

_MOST_ERRORS = 100
"""Likely label errors of each kind: a list that can be worked through."""


def likely_label_errors(study: Study) -> list[Case]:
    """The errors that are likely the annotation's, those of the highest scores first; see `worst_cases`."""
    cases: list[Case] = []
    for outcome in (Outcome.BACKGROUND, Outcome.WRONG_CLASS):
        cases += worst_cases(study, outcome, _MOST_ERRORS)
    likely = [case for case in cases if case.look_again]
    return sorted(likely, key=lambda case: -study.matches.found.score[case.found])


def write_review(study: Study, file: Path, *, force: bool = False) -> None:
    """Writes the images of the worst cases and of all likely label errors, with labels and predictions.

    File names of images are those of the annotated set: put the file beside it, or import it where the images
    are already.

    Raises:
        FileError: The file exists and `force` was not said, or cannot be written.
    """
    write(review(study), file, force=force)


def review(study: Study) -> Dataset:
    """The data set of `write_review`.

    Returns:
        All labels of the images concerned, and the predictions in question in classes of their own, named
        `check: leaf`. What is the matter stands in each one's `description`; `likely_label_error` is true
        where the annotation is likely what is wrong.
    """
    cases = dict.fromkeys(likely_label_errors(study))
    for outcome in SHOWN:
        cases |= dict.fromkeys(worst_cases(study, outcome))
    matches, dataset = study.matches, study.dataset
    numbers = matches.truth.image_numbers
    shown = {image_of(study, case) for case in cases}
    images = [image for image in dataset.images if numbers[image.id] in shown]
    ids = {numbers[image.id]: image.id for image in images}
    labels = _labels(study, cases, {image.id for image in images})
    names = matches.truth.class_order
    free = _free_id(category.id for category in dataset.categories)
    checks = {name: number for number, name in enumerate(names, free)}
    found = [case for case in cases if case.found != NOTHING]
    predictions = [
        _prediction(study, case, number, ids[image_of(study, case)], checks)
        for number, case in enumerate(
            found, _free_id(annotation.id for annotation in dataset.annotations)
        )
    ]
    categories = [Category(number, CHECK + name) for name, number in checks.items()]
    return Dataset(images, [*labels, *predictions], [*dataset.categories, *categories])


def _free_id(used: Iterable[Id]) -> int:
    """A number above all that are used."""
    return max((number for number in used if isinstance(number, int)), default=0) + 1


def _labels(
    study: Study, cases: dict[Case, Any], images: set[Id]
) -> Iterator[Annotation]:
    """The labels of some images; those that were missed say so."""
    truth = study.matches.truth
    counted = [  # the objects of `truth`, in its order
        annotation
        for annotation in study.dataset.annotations
        if annotation.image_id in truth.image_numbers
        and annotation.category_id in truth.category_numbers
    ]
    missed = {case.true for case in cases if case.outcome is Outcome.MISSED}
    for index, annotation in enumerate(counted):
        if annotation.image_id not in images:
            continue
        if index in missed:
            yield _described(annotation, {"description": "missed by the model"})
        else:
            yield annotation


def _prediction(
    study: Study, case: Case, number: int, image_id: Id, checks: dict[str, int]
) -> Annotation:
    """The prediction of a case, with its number and the numbers of its class."""
    found = study.matches.found
    name = study.matches.truth.classes[int(found.category[case.found]) - 1]
    annotation = Annotation(
        id=number,
        image_id=image_id,
        category_id=checks[name],
        bbox=found.bbox[case.found].tolist(),
        area=float(study.found_area[case.found]),
        iscrowd=0,
    )
    if found.masks is not None:
        annotation.segmentation = _outline(found.masks[case.found])
    return _described(
        annotation,
        {
            "score": float(found.score[case.found]),
            "outcome": case.outcome.words(study.matches.kind),
            "likely_label_error": case.look_again,
            "description": describe(study, case),
        },
    )


def describe(study: Study, case: Case) -> str:
    """What is the matter with a prediction, as a person who labels reads it."""
    matches = study.matches
    classes, score = matches.truth.classes, matches.found.score[case.found]
    predicted = classes[int(matches.found.category[case.found]) - 1]
    text = (
        f"{case.outcome.words(matches.kind)}: predicted {predicted}, score {score:.2f}"
    )
    if case.true != NOTHING:
        text += f", labelled {classes[int(matches.true_category[case.true]) - 1]}"
    else:
        text += ", nothing labelled"
    return f"likely label error: {text}" if case.look_again else text


def _described(annotation: Annotation, fields: dict[str, Any]) -> Annotation:
    """An annotation with more fields."""
    extra = {} if annotation.extra is UNSET else dict(annotation.extra)
    extra |= {key: Raw(msgspec.json.encode(value)) for key, value in fields.items()}
    return msgspec.structs.replace(annotation, extra=extra)


def _outline(mask: CocoRLE) -> Polygons | RLE:
    """A mask as polygons, which every labelling tool can edit; as it is where it has holes."""
    bitmap = np.asarray(decode_mask(mask))
    outer, holes = trace(bitmap)
    if holes or not outer:
        return RLE(size=tuple(mask["size"]), counts=mask["counts"])
    return outer
