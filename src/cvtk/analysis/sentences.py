"""What the report says in words: what happened, what to do next, and what its numbers cannot tell."""

from __future__ import annotations

import math

import numpy as np

from cvtk.analysis.gallery import SHOWN
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.study import Study
from cvtk.metrics.truth import COCO_LIMITS
from cvtk.words import counted, enumerated

EXPLANATIONS = {
    Outcome.MISSED: "Objects that no prediction is about.",
    Outcome.BACKGROUND: "Predictions where no object is labelled.",
    Outcome.WRONG_CLASS: "Predictions on an object of another class.",
    Outcome.POOR_MASK: "Predictions whose {shape} fits its object badly: IoU of 0.1 to 0.5.",
    Outcome.WRONG_CLASS_AND_POOR_MASK: "Predictions that fit an object of another class badly.",
    Outcome.DUPLICATE: "Further predictions of an object that is found already.",
}

_ADVICE = {
    Outcome.MISSED: "Label more images with objects like those missed: see which they are below.",
    Outcome.BACKGROUND: "Look at these predictions first: objects that nobody labelled count as such errors too."
    " Label those; if there is nothing, add images of such background.",
    Outcome.WRONG_CLASS: "Check that the classes are labelled alike everywhere, and label more of those confused.",
    Outcome.POOR_MASK: "Check how exact the labels are; a larger --image_size gives finer outlines.",
    Outcome.WRONG_CLASS_AND_POOR_MASK: "Check the labels there, and label more of such objects.",
    Outcome.DUPLICATE: "Objects in pieces or in a heap are often found twice: label more of them, each as one object.",
}

_LEAST_OBJECTS, _CLEARLY = 10, 0.05
"""Of fewer objects, the share that is found says little of a class; nor does a share that is hardly lower."""


def summary(study: Study) -> list[str]:
    """What became of the objects and of the predictions, and which error costs most."""
    kind, told = study.matches.kind, study.outcomes
    objects = told.true[~study.matches.is_crowd]
    kept = told.detection[study.is_kept & (told.detection != Outcome.IN_CROWD)]
    found = int((objects == Outcome.CORRECT).sum())
    images = len(study.matches.truth.image_names)
    sentences = []
    if len(objects):
        others = _counted(objects, kind)
        sentences.append(
            f"Of {counted(len(objects), 'object')} on {counted(images, 'image')}, {found} were found"
            f" ({found / len(objects):.0%}){others}."
        )
    else:
        sentences.append(f"There is no object on {counted(images, 'image')}.")
    right = int((kept == Outcome.CORRECT).sum())
    if len(kept):
        others = _counted(kept, kind)
        sentences.append(
            f"Of {counted(len(kept), 'prediction')}, {right} are right ({right / len(kept):.0%}){others}."
        )
    else:
        sentences.append("No prediction reaches the score to cut at.")
    hidden = found_below_the_cut(study)
    if hidden:
        sentences.append(
            f"{hidden} of the objects that are missed would be found with a lower score to cut at, which also lets"
            " more errors through: try --score, or train with --aim recall=0.9."
        )
    worst = costliest(study)
    if worst is not None:
        sentences.append(
            f"What costs most is “{worst.words(kind)}”: {study.costs[worst]:.3f} of AP50. {_ADVICE[worst]}"
        )
    weakest = weakest_class(study)
    if weakest is not None:
        name, hits, total = weakest
        sentences.append(
            f"Of the classes, “{name}” is found least: {hits} of {counted(total, 'object')} ({hits / total:.0%}). If you"
            " label more images, take some with it; cvtk data next names those that the model is unsure of."
        )
    return sentences


def found_below_the_cut(study: Study) -> int:
    """How many objects are missed only because the predictions that found them do not reach the score to cut at."""
    matches = study.matches
    found = matches.matched[0, matches.is_true[0]]
    return int((study.outcomes.true[found] == Outcome.MISSED).sum())


def costliest(study: Study) -> Outcome | None:
    """The error that costs most; None where none costs anything."""
    given = {error: gain for error, gain in study.costs.items() if gain > 0}
    return max(given, key=lambda error: given[error], default=None)


def weakest_class(study: Study) -> tuple[str, int, int] | None:
    """The class of which the smallest share is found, if that is clearly below the share of all objects.

    Returns:
        Its name, how many of its objects are found, and how many there are; None where no class stands out.
    """
    matches = study.matches
    is_object = ~matches.is_crowd
    is_found = is_object & (study.outcomes.true == Outcome.CORRECT)
    classes = len(matches.truth.classes) + 1
    objects = np.bincount(matches.true_category[is_object], minlength=classes)
    found = np.bincount(matches.true_category[is_found], minlength=classes)
    known = np.flatnonzero(objects >= _LEAST_OBJECTS)
    if len(known) < 2:
        return None
    worst = known[np.argmin(found[known] / objects[known])]
    if found[worst] / objects[worst] > found.sum() / objects.sum() - _CLEARLY:
        return None
    return matches.truth.classes[worst - 1], int(found[worst]), int(objects[worst])


def warnings(study: Study) -> list[str]:
    """What a reader must know before believing a number."""
    truth, found = study.matches.truth, study.matches.found
    name, objects = truth.most_objects()
    told = list(truth.notes)
    most_found = int(np.bincount(found.image).max(initial=0))
    if objects > most_found > 0:
        told.append(
            f"{name} holds {objects} objects, and no image has more than {most_found} predictions. If the model"
            " stops at a number, raise it: --set model.test_cfg.rcnn.max_per_img=N, or for models of one stage"
            " model.test_cfg.max_per_img=N."
        )
    if study.limit != COCO_LIMITS[0]:
        told.append(
            f"{name} holds {objects} objects: AP and AR count up to {study.limit} predictions per image and"
            f" class, where COCO's own limit of {COCO_LIMITS[0]} could miss some."
        )
    missing = [
        label
        for label, metrics in study.intervals.by_class.items()
        if math.isnan(metrics["AP"].value)
    ]
    if missing:
        names = enumerated([f"“{name}”" for name in missing], "or")
        told.append(
            f"No object of {names} is on these images: nothing can be said of how well it is"
            " found, and means over the classes leave it out (test_stats.json has -1 there)."
        )
    return told


def method(study: Study) -> list[str]:
    """How the numbers came about, as one reads it below a table."""
    shape = "masks" if study.matches.kind == "segm" else "boxes"
    return [
        f"AP is COCO's mean of the precision over recalls 0 to 1 and over IoU 0.50 to 0.95 of {shape};"
        " AP50 is that at IoU 0.50 alone. AR is the recall over the same IoUs. All count predictions of any score.",
        "Precision, recall and F1, and all counts below, are at IoU 0.50 from the score to cut at on."
        " “All classes” is the mean over classes for AP and AR, and all objects together for the others.",
        *study.thresholds.notes,
        study.intervals.note,
        "An interval of no width, such as 1.00 to 1.00, only says that no image here differs: with few objects,"
        " the truth may still be well below.",
        "Errors and what they cost follow TIDE (Bolya et al., 2020): the AP50 to be gained if this kind of error"
        " alone were mended. Costs do not add up, since one error can hide another, and count all scores.",
    ]


def _counted(outcomes: np.typing.NDArray[np.int64], kind: str) -> str:
    """`: 3 missed, 1 wrong class`, or nothing where all is right."""
    parts = [
        f"{count} {error.words('segm' if kind == 'segm' else 'bbox')}"
        for error in SHOWN
        if (count := int((outcomes == error).sum()))
    ]
    return f"; {', '.join(parts)}" if parts else ""
