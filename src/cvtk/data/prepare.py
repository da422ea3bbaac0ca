"""What training reads: a COCO file with the classes in the order of the label file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk.errors import DataError


def prepare_annotations(
    file: str | Path, classes: list[str], output: Path
) -> dict[str, Any]:
    """Writes a COCO file as MMDetection needs it: classes in the order of the labels."""
    from pycocotools import mask as rle
    from pycocotools.coco import COCO

    try:
        coco = COCO()  # by itself it reads UTF-8 only where that is the system's own
        coco.dataset = json.loads(Path(file).read_text(encoding="utf-8"))
        coco.createIndex()
        images = coco.dataset["images"]
    except (ValueError, KeyError, TypeError, AssertionError):
        raise DataError(f"{file} is not in COCO's format.") from None
    if not images:
        raise DataError(f"{file} has no images.")
    names = {i: category["name"] for i, category in coco.cats.items()}
    unknown = {names[a["category_id"]] for a in coco.anns.values()} - {*classes}
    if unknown:
        raise DataError(f"{file}: the classes {unknown} are not among {classes}.")
    known = {name: i for i, name in names.items()}
    ids = [known.get(name, max(names) + 1 + n) for n, name in enumerate(classes)]
    for ann in coco.anns.values():  # MMDetection stops where one of these is missing
        if ann.get("segmentation") and not {"area", "bbox"} <= ann.keys():
            mask = coco.annToRLE(ann)
            ann.update(area=float(rle.area(mask)), bbox=rle.toBbox(mask).tolist())
        ann.setdefault("area", ann["bbox"][2] * ann["bbox"][3])
        ann.setdefault("iscrowd", 0)
    categories = [{"id": i, "name": name} for i, name in zip(ids, classes, strict=True)]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({**coco.dataset, "categories": categories}))
    meta = {"classes": classes, "category_ids": ids}
    folder = {"img": f"{Path(file).resolve().parent}/"}
    return {"ann_file": str(output), "data_prefix": folder, "metainfo": meta}
