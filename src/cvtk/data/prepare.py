"""What training reads: a COCO file with the classes in the order of the label file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk.errors import DataError


def read_labels(file: str | Path) -> list[str]:
    """The class names of a label file: UTF-8, one a line."""
    lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    return [line.strip() for line in lines if line.strip()]


def prepare_annotations(file: str | Path, classes: list[str], output: Path) -> dict[str, Any]:
    """Writes a COCO file as MMDetection needs it; returns the fields of its data set.

    MMDetection numbers classes in the order of the file, whatever the order of the
    labels, and stops at annotations without area, box or `iscrowd`.
    """
    from pycocotools import mask as rle

    coco = json.loads(Path(file).read_text(encoding="utf-8"))
    names = {c["id"]: c["name"] for c in coco["categories"]}
    unknown = {names.get(a["category_id"]) for a in coco["annotations"]} - {*classes}
    if unknown:
        raise DataError(f"{file} has classes {unknown} that are not among {classes}.")
    ids = {name: i for i, name in names.items()}
    free = max(names, default=0) + 1  # ids for labels that the file does not know
    ids = {name: ids.get(name, free + n) for n, name in enumerate(classes)}
    coco["categories"] = [{"id": i, "name": name} for name, i in ids.items()]
    sizes = {i["id"]: (i["height"], i["width"]) for i in coco["images"]}
    for ann in coco["annotations"]:
        ann.setdefault("iscrowd", 0)
        if "area" not in ann or "bbox" not in ann:
            x, y, w, h = ann.get("bbox", (0, 0, 0, 0))
            box = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            mask = rle.frPyObjects(ann.get("segmentation") or box, *sizes[ann["image_id"]])
            mask = rle.merge(mask) if isinstance(mask, list) else mask
            ann["bbox"] = ann.get("bbox") or rle.toBbox(mask).tolist()
            ann["area"] = float(rle.area(mask))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(coco), encoding="utf-8")
    return {
        "ann_file": str(output.resolve()),
        "data_prefix": {"img": f"{Path(file).resolve().parent}/"},
        "metainfo": {"classes": classes, "category_ids": list(ids.values())},
        "has_rle": any(isinstance(a.get("segmentation"), dict) for a in coco["annotations"]),
    }
