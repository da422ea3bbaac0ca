"""Ids of images, annotations and categories as numbers, which other tools expect."""

from __future__ import annotations

from collections.abc import Sequence

from cvtk.data.types import Annotation, Category, Dataset, Id, Image, Note, show_id

# Larger numbers do not fit the arrays in which tools keep ids.
LARGEST = 2**53


def is_usable(identifier: Id) -> bool:
    """Whether training and evaluation can work with an id: a number that fits their arrays."""
    return isinstance(identifier, int) and abs(identifier) <= LARGEST


def number_ids(dataset: Dataset) -> list[Note]:
    """Gives number ids to items that have texts, in place; `"12"` becomes 12 where all are such.

    Returns:
        Each change.
    """
    notes: list[Note] = []
    images = _numbers(dataset.images, "image", notes)
    categories = _numbers(dataset.categories, "category", notes)
    _numbers(dataset.annotations, "annotation", notes)
    for annotation in dataset.annotations:
        annotation.image_id = images.get(annotation.image_id, annotation.image_id)
        category = annotation.category_id
        annotation.category_id = categories.get(category, category)
    return notes


def _numbers(
    items: Sequence[Image | Annotation | Category], kind: str, notes: list[Note]
) -> dict[Id, Id]:
    """The new id of each old one; empty where they can stay."""
    if all(is_usable(item.id) for item in items):
        return {}
    table = _same_numbers(items) or {}
    if not table:
        for item in items:
            table.setdefault(item.id, len(table) + 1)
    for item in items:
        if table[item.id] != item.id:
            text = f"its id is now {table[item.id]}"
            notes.append(Note(f"{kind} {show_id(item.id)}", text))
        item.id = table[item.id]
    return table


def _same_numbers(
    items: Sequence[Image | Annotation | Category],
) -> dict[Id, Id] | None:
    """The numbers that the texts spell, where all do and no two the same."""
    texts = [str(item.id) for item in items]
    if not all(t.isascii() and t.isdigit() and len(t) < 16 for t in texts):
        return None
    if len(set(map(int, texts))) < len(texts):
        return None
    return {item.id: int(text) for item, text in zip(items, texts, strict=True)}
