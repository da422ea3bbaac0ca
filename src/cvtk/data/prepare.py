"""What training reads: a COCO file, checked, with the classes in the order of the label file."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from cvtk.errors import DataError, FileError


def read_labels(file: str | Path) -> list[str]:
    """The class names of a label file: UTF-8, one a line; empty lines do not count."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"Cannot read the label file {file}: {error}.") from None
    labels = [line.strip() for line in lines if line.strip()]
    if not labels or len(set(labels)) < len(labels):
        raise DataError(f"{file} must name each class once, one a line.")
    return labels


def read_json(file: str | Path) -> dict[str, Any]:
    """A COCO file as it is; only its outer form is checked."""
    try:
        coco = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"Cannot read {file}: {error.strerror}.") from None
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {error}.") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(coco, dict) or not isinstance(coco.get(key), list):
            raise DataError(f"{file} is not a COCO file: it has no list {key!r}.")
    return coco


def prepare_annotations(
    file: str | Path, classes: list[str], output: str | Path, task: str
) -> dict[str, Any]:
    """Checks a COCO file, and writes to `output` the form of it that MMDetection reads.

    MMDetection numbers the classes in the order of the file's categories, whatever the
    label file says, and needs `area`, `bbox` and `iscrowd`: here they get their values.

    Returns:
        What the configuration needs to know: `file`, `folder`, `classes`,
        `category_ids` (in the order of `classes`), `images` (a count), `has_rle`,
        `most` (instances in one image), and `notes` on what will not train.
    """
    from pycocotools import mask as rle

    coco, folder = read_json(file), Path(file).resolve().parent
    names = {c["id"]: c["name"] for c in coco["categories"]}
    used = {a["category_id"] for a in coco["annotations"]}
    for name in sorted({str(names.get(c, c)) for c in used} - set(classes)):
        close = difflib.get_close_matches(name, classes, 1, 0.5)
        raise DataError(
            f"{file} has annotations of class {name!r}, which is not among the labels "
            f"{classes}." + (f" Did you mean {close[0]!r}?" if close else "")
        )
    ids = {name: c for c, name in names.items()}
    free = iter(set(range(len(ids) + len(classes) + 1)) - set(names))
    ids = {name: ids[name] if name in ids else next(free) for name in classes}

    images = {image["id"]: image for image in coco["images"]}
    for image in images.values():
        if not (folder / image["file_name"]).is_file():
            raise FileError(
                f"{file}: image {image['file_name']!r} is not in {folder}. File names "
                "are relative to the folder of the JSON file."
            )

    kept, counts, lost = [], dict.fromkeys(images, 0), 0
    for ann in coco["annotations"]:
        item = f"{file}: annotation {ann.get('id')}"
        if ann["image_id"] not in images:
            raise DataError(f"{item} is of image {ann['image_id']}, which is not there.")
        image = images[ann["image_id"]]
        height, width = image["height"], image["width"]
        mask = ann.get("segmentation")
        if isinstance(mask, list) and mask:
            if any(len(polygon) < 6 or len(polygon) % 2 for polygon in mask):
                raise DataError(f"{item} has a polygon of fewer than three points.")
            mask = rle.merge(rle.frPyObjects(mask, height, width))
        elif isinstance(mask, dict):
            if list(mask["size"]) != [height, width]:
                raise DataError(
                    f"{item} has a mask of {mask['size']} (height, width), but "
                    f"{image['file_name']!r} is {[height, width]}."
                )
            if isinstance(mask["counts"], list):
                mask = rle.frPyObjects(mask, height, width)
        elif task == "segm":
            raise DataError(f"{item} has no mask. For boxes alone, use --task det.")
        if "bbox" not in ann or "area" not in ann:
            box = ann.get("bbox") or rle.toBbox(mask).tolist()
            ann = {**ann, "bbox": box, "area": float(rle.area(mask)) if mask else box[2] * box[3]}
        _, _, w, h = ann["bbox"]
        lost += ann["area"] <= 0 or w < 1 or h < 1
        counts[ann["image_id"]] += 1
        kept.append({"iscrowd": 0, **ann})
    if not kept:
        raise DataError(f"{file} has no annotations: there is nothing to learn from.")

    categories = [{"id": i, "name": name} for name, i in ids.items()]
    document = {"images": coco["images"], "annotations": kept, "categories": categories}
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(json.dumps(document), encoding="utf-8")
    note = f"{lost} of {len(kept)} annotations in {file} do not train: under a pixel."
    return {
        "file": str(output),
        "folder": f"{folder}/",
        "classes": classes,
        "category_ids": list(ids.values()),
        "images": len(images),
        "has_rle": any(isinstance(a.get("segmentation"), dict) for a in kept),
        "most": max(counts.values()),
        "notes": [note] if lost else [],
    }
