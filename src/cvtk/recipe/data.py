"""The user's images and annotations in the place of COCO."""

from __future__ import annotations

from cvtk.errors import DataError
from cvtk.options import TrainOptions
from cvtk.recipe.nodes import Node, each_dict

# The option that names the data of each of MMDetection's data loaders.
LOADERS = {"train": "train", "valid": "val", "test": "test"}
# What a category says of the poses of its objects.
POSE_FIELDS = ("keypoints", "skeleton")


def match_classes(coco: Node, classes: list[str], file: str) -> list[int]:
    """Puts the categories of a COCO file in the order of the labels; returns their ids.

    Raises:
        DataError: The file has annotations of a class that is not among the labels.
    """
    names = {category["id"]: category["name"] for category in coco["categories"]}
    used = {item["category_id"] for item in coco["annotations"]}
    found = {str(names.get(number, f"category {number}")) for number in used}
    unknown = ", ".join(map(repr, sorted(found - set(classes))))
    if unknown:
        reason = f"{file} has annotations of {unknown}, but the labels are {classes}."
        raise DataError(reason, "Use the same names in both files.")
    # Categories of the same name become the first of them; a new label gets a new id.
    known = {name: number for number, name in reversed(names.items())}
    unused = max([0, *names]) + 1
    ids = [known.get(name, unused + index) for index, name in enumerate(classes)]
    for item in coco["annotations"]:
        item["category_id"] = known[names[item["category_id"]]]
    stated = {category["name"]: category for category in reversed(coco["categories"])}
    coco["categories"] = []
    for number, name in zip(ids, classes, strict=True):
        own = stated.get(name, {})
        poses = {key: own[key] for key in POSE_FIELDS if key in own}
        coco["categories"].append({"id": number, "name": name, **poses})
    return ids


def complete_annotations(coco: Node) -> None:
    """Adds what MMDetection needs of every object: an id, its area, its box and `iscrowd`.

    Raises:
        DataError: An object has neither a mask nor a box.
    """
    images = {image["id"]: image for image in coco["images"]}
    for number, item in enumerate(coco["annotations"], 1):
        item.setdefault("iscrowd", 0)
        if item.get("segmentation") and not {"area", "bbox"} <= item.keys():
            measure_mask(item, images[item["image_id"]])
        if "bbox" not in item:
            raise DataError(
                f"Annotation {item.get('id')} has neither a mask nor a box.",
                "Draw one, or remove the annotation.",
            )
        item.setdefault("area", item["bbox"][2] * item["bbox"][3])
        item["id"] = number  # pycocotools takes an object with the id 0 for no match


def measure_mask(item: Node, image: Node) -> None:
    """Sets the area and the box of an object from its mask: polygons, or RLE of either kind."""
    from pycocotools import mask as api

    mask = item["segmentation"]
    if isinstance(mask, list):
        mask = api.merge(api.frPyObjects(mask, image["height"], image["width"]))
    elif isinstance(mask["counts"], list):
        mask = api.frPyObjects(mask, *mask["size"])
    item.update(area=float(api.area(mask)), bbox=api.toBbox(mask).tolist())


def has_rle(coco: Node) -> bool:
    """Whether any mask is run-length encoded rather than drawn as polygons."""
    masks = [item.get("segmentation") for item in coco["annotations"]]
    return any(isinstance(mask, dict) for mask in masks)


def dataset_of(file: str, folder: str, classes: list[str], ids: list[int]) -> Node:
    """A data set for MMDetection: annotations, folder of the images, classes and their ids."""
    paths = {"ann_file": file, "data_prefix": {"img": f"{folder}/"}}
    meta = {"classes": classes, "category_ids": ids}
    return {"type": "CocoDataset", **paths, "metainfo": meta}


def set_data(
    cfg: Node, task: str, datasets: dict[str, Node], options: TrainOptions
) -> None:
    """Puts the user's data sets in the place of COCO; the pipelines stay as they are.

    They are those that `dataset_of` gives for "train", and for "valid" and "test" if given.
    """
    kinds = ["bbox", "segm"] if task == "segm" else ["bbox"]
    dataset = datasets["train"]
    for option, split in LOADERS.items():
        dataset = datasets.get(option, dataset)  # or else the one before stands in
        train = split == "train"
        loader = cfg[f"{split}_dataloader"]
        loader["dataset"] = in_place_of(loader["dataset"], dataset, test_mode=not train)
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": train}
        loader["batch_size"] = int(options.batch_size) if train else 1
        loader["num_workers"] = options.num_workers
        loader["persistent_workers"] = options.num_workers > 0
        metric = {"type": "CocoMetric", "ann_file": dataset["ann_file"]}
        if not train:
            cfg[f"{split}_evaluator"] = {**metric, "metric": kinds}
    if "valid" not in datasets:
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)


def in_place_of(old: Node, new: Node, test_mode: bool) -> Node:
    """A data set with the pipeline of the one that it replaces.

    Data sets that are repeated, balanced or joined become the one; a mix of images (mosaic) stays.
    """
    inner = next(part for part in each_dict(old) if "ann_file" in part)
    new = {**new, "test_mode": test_mode, "pipeline": inner["pipeline"]}
    return {**old, "dataset": new} if old["type"] == "MultiImageMixDataset" else new
