"""From any format that is read to any that is written, with notes on what did not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvtk.data.coco import write as write_coco
from cvtk.data.formats.detect import detect
from cvtk.data.formats.finder import Finder
from cvtk.data.formats.records import FORMATS, TOOLS, WRITTEN, format_named
from cvtk.data.masks import area_and_bbox, box_polygon
from cvtk.data.relocate import relocate_images
from cvtk.data.types import Converted, Dataset, Note
from cvtk.errors import DataError, FileError, did_you_mean
from cvtk.io import atomic_folder, atomic_write, is_file, require_free


@dataclass
class Conversion:
    """What a conversion did.

    Attributes:
        dataset: What was written.
        source_format: Where it came from.
        target_format: What it is now.
        copied: How many images were copied.
        notes: What was changed or not carried over, item by item.
    """

    dataset: Dataset
    source_format: str
    target_format: str
    copied: int
    notes: list[Note]


def load(
    path: str | Path, *, format: str | None = None, split: str | None = None
) -> Converted:
    """Reads a data set in any format.

    Args:
        path: A file or folder, as the labelling tool wrote it.
        format: Which it is; found out where left out.
        split: For formats that keep several splits in one set (YOLO): which one.

    Raises:
        FileError: The file is missing.
        DataError: It is of no known format, or broken; the message names the item.
    """
    path = Path(path)
    record = format_named(format or detect(path))
    if not path.exists():
        raise FileError(f"{path}: no such file or folder.", "Check the path.")
    if path.is_dir() and not record.folder:
        raise FileError(f"{path} is a folder.", "Say which file in it.")
    return record.read(path, split)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    split: str | None = None,
    images: bool = True,
    label: str | Path | None = None,
    boxes_to_masks: bool = False,
    score: float = 0.0,
    image_folder: str | Path | None = None,
    force: bool = False,
) -> Conversion:
    """Converts a data set; the source is never changed.

    Args:
        source: A file or folder, as the labelling tool wrote it.
        target: A `.json` file for COCO, a folder for the others.
        source_format: One of `FORMATS`; found out where left out.
        target_format: One of `WRITTEN`; COCO where left out.
        split: As in `load`.
        images: Whether images that lie outside the target's folder are copied into it.
        label: A file to write the class names to, one per line, for training.
        boxes_to_masks: Whether objects that have a box alone get it as their mask.
        score: The lowest score, 0 to 1, of the predictions that are kept; annotations have none, and all are.
        image_folder: The folder of the images; that of the source where left out. Predictions need it, for
            beside them lie drawings of the same names.
        force: Whether the target may be replaced.

    Raises:
        FileError: A file is missing, the target exists, or predictions do not say where their images are.
        DataError: The source is broken; the message names the item.
    """
    source, target = Path(source), Path(target)
    wanted = target_format or "coco"
    _require_target(source, target, wanted, force)
    if label is not None:
        require_free(Path(label), force=force)
    name = source_format or detect(source)
    loaded = load(source, format=name, split=split)
    _require_something(loaded, source, wanted)
    _find_images(loaded, source, image_folder, copied=images and name == "coco")
    _leave_out_weak(loaded, score)
    if boxes_to_masks:
        _boxes_to_masks(loaded)
    dataset, copied = _write(loaded, target, wanted, images=images, force=force)
    if label is not None:
        with atomic_write(Path(label), force=force) as part:
            text = "".join(f"{n}\n" for n in dataset.class_names)
            part.write_text(text, encoding="utf-8")
    return Conversion(dataset, name, wanted, copied, loaded.notes)


def _require_target(source: Path, target: Path, wanted: str, force: bool) -> None:
    """Refuses a target that cannot be written, before anything is read."""
    if wanted not in WRITTEN:
        raise DataError(
            f"cvtk does not write {wanted!r}.",
            did_you_mean(wanted, WRITTEN) or f"It writes {', '.join(WRITTEN)}.",
        )
    if wanted == "coco" and target.suffix.lower() != ".json":
        raise FileError(
            f"{target} is to be a COCO file, but does not end in .json.",
            "Name it *.json.",
        )
    if wanted == "coco" or target.is_file():
        require_free(target, force=force)
    if target.exists() and source.exists() and target.samefile(source):
        raise FileError(f"{target} is the source itself.", "Choose another name.")


def _require_something(loaded: Converted, source: Path, wanted: str) -> None:
    """Refuses a source without objects; but a tool for labelling is there to draw them."""
    if loaded.dataset.annotations or (wanted in TOOLS and loaded.dataset.images):
        return
    raise DataError(_nothing_found(source, loaded.notes))


def _find_images(
    loaded: Converted, source: Path, folder: str | Path | None, *, copied: bool
) -> None:
    """Finds the images in another folder, by their paths or else by their names.

    Raises:
        FileError: There is no such folder, or none of the images in it; or predictions in COCO are to be written with
            their images, and no folder is named.
    """
    if folder is None:
        if copied and all(a.score is not None for a in loaded.dataset.annotations):
            raise FileError(
                f"{source} holds nothing but predictions, and beside them may be drawings of the same names.",
                "Name the folder of the images: --image_folder photos. (--no-images leaves images out.)",
            )
        return
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f"{folder}: no such folder.", "Check the path.")
    finder, missing = Finder(folder), 0
    for image in loaded.dataset.images:
        place = finder.find(image.file_name)
        loaded.sources[image.id] = place
        if not is_file(place):
            missing += 1
            loaded.notes.append(Note(image.file_name, f"its image is not in {folder}"))
    if missing and missing == len(loaded.dataset.images):
        raise FileError(
            f"None of the {missing} images is in {folder}, such as {image.file_name}.",
            "Name the folder that was predicted.",
        )


def _leave_out_weak(loaded: Converted, score: float) -> None:
    """Leaves out predictions below a score."""
    dataset = loaded.dataset
    kept = [a for a in dataset.annotations if a.score is None or a.score >= score]
    weak = len(dataset.annotations) - len(kept)
    if weak:
        text = f"{weak} of {weak + len(kept)} objects are left out, their scores are below {score:g}"
        loaded.notes.append(Note("predictions", text))
    dataset.annotations = kept


def _boxes_to_masks(loaded: Converted) -> None:
    """Gives each object without a mask its box as one."""
    images = {image.id: image for image in loaded.dataset.images}
    for annotation in loaded.dataset.annotations:
        if annotation.has_mask or annotation.box is None:
            continue
        outline = [box_polygon(*annotation.box)]
        width, height = images[annotation.image_id].size or (0, 0)
        annotation.segmentation = outline
        annotation.area, annotation.bbox = area_and_bbox(outline, width, height)


def _write(
    loaded: Converted, target: Path, wanted: str, *, images: bool, force: bool
) -> tuple[Dataset, int]:
    """Writes what was loaded; gives the set as written, and how many images were copied."""
    dataset, copied = loaded.dataset, 0
    if wanted == "coco":
        if images:
            dataset, copied = relocate_images(dataset, loaded.sources, target.parent)
        write_coco(dataset, target, force=force)
        return dataset, copied
    with atomic_folder(target, force=force) as part:
        FORMATS[wanted].write(dataset, loaded.sources, part, loaded.notes, images)
    return dataset, len(dataset.images) if images else 0


def _nothing_found(source: Path, notes: list[Note]) -> str:
    lost = [note for note in notes if note.text.startswith("left out")]
    if not lost:
        return f"{source} has no annotations."
    return (
        f"{source} has no object that could be converted. All {len(lost)} objects were left out, the first: "
        f"{lost[0]}"
    )
