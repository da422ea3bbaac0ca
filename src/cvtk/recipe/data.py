"""The user's images and annotations in the place of COCO."""

from __future__ import annotations

from typing import Any

from cvtk.errors import DataError
from cvtk.recipe.nodes import each_dict

# Which option names the data of which of MMDetection's data loaders.
LOADERS = {"train": "train", "valid": "val", "test": "test"}


def match_classes(coco: dict[str, Any], classes: list[str], file: str) -> list[int]:
    """Puts the categories of a COCO file in the order of the labels.

    Args:
        coco: The content of the file; its `categories` are changed.
        classes: The labels.
        file: Its name, for messages.

    Returns:
        The category id of each label. A label that the file does not know gets a new one.

    Raises:
        DataError: The file has annotations of a class that is not among the labels.
    """
    names = {category["id"]: category["name"] for category in coco["categories"]}
    used = {names.get(item["category_id"]) for item in coco["annotations"]}
    unknown = sorted(str(name) for name in used - set(classes))
    if unknown:
        raise DataError(
            f"{file} has annotations of {', '.join(map(repr, unknown))}, but the labels are {classes}.",
            "Use the same names on both sides.",
        )
    known = {name: category_id for category_id, name in names.items()}
    unused = max([0, *names]) + 1
    ids = [known.get(name, unused + i) for i, name in enumerate(classes)]
    pairs = zip(ids, classes, strict=True)
    coco["categories"] = [{"id": id_, "name": name} for id_, name in pairs]
    return ids


def complete_annotations(coco: dict[str, Any]) -> None:
    """Adds what MMDetection stops without: the area, the box and `iscrowd` of every object."""
    from pycocotools import mask as api

    images = {image["id"]: image for image in coco["images"]}
    for item in coco["annotations"]:
        item.setdefault("iscrowd", 0)
        segmentation = item.get("segmentation")
        if segmentation and not {"area", "bbox"} <= item.keys():
            image = images[item["image_id"]]
            rle = api.frPyObjects(segmentation, image["height"], image["width"])
            rle = api.merge(rle) if isinstance(rle, list) else rle
            item.update(area=float(api.area(rle)), bbox=api.toBbox(rle).tolist())
        if "area" not in item:
            item["area"] = item["bbox"][2] * item["bbox"][3]


def has_rle(coco: dict[str, Any]) -> bool:
    """Whether any mask is run-length encoded, not drawn as polygons."""
    return any(
        isinstance(item.get("segmentation"), dict) for item in coco["annotations"]
    )


def dataset_of(
    annotations: str, folder: str, classes: list[str], ids: list[int]
) -> dict[str, Any]:
    """What MMDetection is told of a set: its annotations, the folder of its images, its classes."""
    return {
        "type": "CocoDataset",
        "ann_file": annotations,
        "data_prefix": {"img": f"{folder}/"},
        "metainfo": {"classes": classes, "category_ids": ids},
    }


def set_data(
    cfg: dict[str, Any],
    task: str,
    datasets: dict[str, dict[str, Any]],
    batch_size: int,
    num_workers: int,
) -> None:
    """Puts the user's sets in the place of COCO; the pipelines stay as they are.

    Args:
        cfg: The configuration; changed in place.
        task: "segm" or "det".
        datasets: What `dataset_of` gave for "train", and for "valid" and "test" where there are such.
        batch_size: Images per step of one process.
        num_workers: Processes that read images.
    """
    kinds = ["bbox", "segm"] if task == "segm" else ["bbox"]
    dataset = datasets["train"]
    for option, split in LOADERS.items():
        dataset = datasets.get(option, dataset)  # else the set before takes the place
        loader = cfg[f"{split}_dataloader"]
        train = split == "train"
        loader["dataset"] = in_place_of(
            loader["dataset"], {**dataset, "test_mode": not train}
        )
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": train}
        loader["batch_size"] = batch_size if train else 1
        loader["num_workers"] = num_workers
        loader["persistent_workers"] = num_workers > 0
        if not train:
            cfg[f"{split}_evaluator"] = {
                "type": "CocoMetric",
                "ann_file": dataset["ann_file"],
                "metric": kinds,
            }
    if "valid" not in datasets:
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)


def in_place_of(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A set with the pipeline of the one that it replaces.

    Sets that are repeated, balanced or joined become the one set; a mix of images (mosaic) stays a mix.
    """
    inner = next(part for part in each_dict(old) if "ann_file" in part)
    new = {**new, "pipeline": inner["pipeline"]}
    if old["type"] == "MultiImageMixDataset":
        return {**old, "dataset": new}
    return new
