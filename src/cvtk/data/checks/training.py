"""What must be right in labels and annotations before a training or an evaluation starts."""

from __future__ import annotations

from cvtk.data.checks.annotations import check_annotations
from cvtk.data.checks.classes import check_category_ids
from cvtk.data.checks.images import check_entries
from cvtk.data.checks.problems import Problem, Problems
from cvtk.data.types import Dataset, show_id
from cvtk.errors import DataError, did_you_mean

# Warnings of the check-up that are refused here: nothing can be learned or measured on such a mask.
_REFUSED = "outside"


def require_trainable(
    dataset: Dataset, classes: list[str], task: str, *, train: bool
) -> list[str]:
    """Refuses annotations that cannot be used; says which would be ignored in silence.

    What the check-up calls an error is refused here, in the same words.

    Args:
        dataset: The set, as `read` gives it.
        classes: The labels.
        task: With "segm", every annotation needs a mask.
        train: Whether every label must occur among the categories.

    Returns:
        Sentences on annotations that do not train: boxes under a pixel, area 0.

    Raises:
        DataError: An item cannot be used; the message names file and item.
    """
    problems = Problems()
    check_category_ids(dataset, problems)
    check_entries(dataset, problems)
    _refuse(dataset, problems)
    _require_same_classes(dataset, classes, train)
    if task == "segm":
        _require_masks(dataset)
    check_annotations(dataset, problems, thorough=False)
    _refuse(dataset, problems)
    return _ignored(dataset)


def _refuse(dataset: Dataset, problems: Problems) -> None:
    """Raises the first error, and counts the others."""
    errors = [p for p in problems.items if _is_refused(p)]
    if not errors:
        return
    first = errors[0]
    total = problems.number("error")
    more = f" ({total} such problems in all)" if total > 1 else ""
    message = first.message.removeprefix(f"{dataset.file}: ")
    text = f"{dataset.file}: {first.item}: {message.rstrip('.')}{more}."
    raise DataError(text, first.remedy)


def _is_refused(problem: Problem) -> bool:
    if problem.severity == "error":
        return True
    return problem.kind == _REFUSED and "mask" in problem.message


def _require_same_classes(dataset: Dataset, classes: list[str], train: bool) -> None:
    """Compares the names of used categories with the labels, and in training the labels with all names."""
    names = {category.id: category.name for category in dataset.categories}
    used = {annotation.category_id for annotation in dataset.annotations}
    unknown = sorted({names[i] for i in used if i in names} - set(classes))
    missing = [name for name in classes if name not in names.values()] if train else []
    if not unknown and not missing:
        return
    odd = (unknown or missing)[0]
    hint = did_you_mean(odd, classes if unknown else names.values(), 1)
    side = "the former" if unknown else "the latter"
    raise DataError(
        f"The classes differ: {dataset.file} has {list(names.values())}, the labels are {classes};"
        f" {odd!r} is only in {side}.",
        hint or "Use the same names on both sides.",
    )


def _require_masks(dataset: Dataset) -> None:
    bare = [a for a in dataset.annotations if not a.has_mask]
    if not bare:
        return
    names = {image.id: image.file_name for image in dataset.images}
    image = names.get(bare[0].image_id, "")
    raise DataError(
        f"{dataset.file}: annotation {show_id(bare[0].id)} (image {image!r}) has no mask, as have "
        f"{len(bare)} of {len(dataset.annotations)}.",
        "For boxes alone, use --task det.",
    )


def _ignored(dataset: Dataset) -> list[str]:
    """A note on annotations that no network learns from."""
    lost = []
    for annotation in dataset.annotations:
        _, _, width, height = annotation.box or (0, 0, 1, 1)
        if width < 1 or height < 1 or annotation.area == 0:
            lost.append(annotation.id)
    if not lost:
        return []
    shown = ", ".join(map(str, lost[:5])) + ("..." if len(lost) > 5 else "")
    return [
        f"Note: {len(lost)} of {len(dataset.annotations)} annotations in {dataset.file} are not learned from,"
        f" since they are smaller than a pixel (ids {shown})."
    ]
