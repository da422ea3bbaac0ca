"""Categories and images that a file has twice: those that are one become one, those that are not are told apart."""

from __future__ import annotations

from cvtk.data.types import Category, Dataset, Id, Note, show_id


def merge_categories(dataset: Dataset, notes: list[Note]) -> set[Id]:
    """Categories of one name become one, and those of one id get ids of their own.

    Returns:
        The ids that stood for several names: nobody knows what their annotations are.
    """
    names: dict[Id, set[str]] = {}
    for category in dataset.categories:
        names.setdefault(category.id, set()).add(category.name)
    doubtful = {identifier for identifier, of in names.items() if len(of) > 1}
    spare = 1 + max((i for i in names if isinstance(i, int)), default=0)
    first: dict[str, Id] = {}
    same: dict[Id, Id] = {}
    kept: list[Category] = []
    for category in dataset.categories:
        item = f"category {show_id(category.id)} ({category.name[:100]})"
        if category.name in first:
            same.setdefault(category.id, first[category.name])
            notes.append(Note(item, "merged with the category of the same name"))
            continue
        if category.id in doubtful:
            text = f"its id stood for other names too; it is now {spare}"
            notes.append(Note(item, text))
            category.id, spare = spare, spare + 1
        first[category.name] = category.id
        kept.append(category)
    dataset.categories = kept
    for annotation in dataset.annotations:
        if annotation.category_id not in doubtful:
            merged = same.get(annotation.category_id, annotation.category_id)
            annotation.category_id = merged
    return doubtful


def merge_images(dataset: Dataset, notes: list[Note]) -> None:
    """Entries of one file become one image; entries of several files with one id are dropped."""
    files: dict[Id, set[str]] = {}
    for image in dataset.images:
        files.setdefault(image.id, set()).add(image.file_name)
    first: dict[str, Id] = {}
    same: dict[Id, Id] = {}
    kept = []
    for image in dataset.images:
        if len(files[image.id]) > 1:
            text = "dropped: images of other files have its id, so nobody knows whose its annotations are"
            notes.append(Note(image.describe(), text))
        elif image.file_name in first:
            same[image.id] = first[image.file_name]
            text = f"merged with image {show_id(same[image.id])} of the same file"
            notes.append(Note(image.describe(), text))
        else:
            first[image.file_name] = image.id
            kept.append(image)
    dataset.images = kept
    for annotation in dataset.annotations:
        annotation.image_id = same.get(annotation.image_id, annotation.image_id)
