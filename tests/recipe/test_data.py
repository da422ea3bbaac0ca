"""The user's data in the place of COCO: classes, what annotations lack, and the loaders."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as api

from cvtk.errors import DataError
from cvtk.recipe.data import (
    complete_annotations,
    dataset_of,
    has_rle,
    in_place_of,
    match_classes,
    set_data,
)


def coco(categories, *used):
    """Categories by their ids, and an annotation of each id in `used`."""
    return {
        "categories": [
            {"id": n, "name": name, "supercategory": "plant"}
            for n, name in categories.items()
        ],
        "annotations": [{"category_id": n} for n in used],
    }


def test_categories_come_in_the_order_of_the_labels():
    content = coco({3: "fruit", 7: "leaf", 5: "flower"}, 3, 7, 5)
    assert match_classes(content, ["leaf", "flower", "fruit"], "a.json") == [7, 5, 3]
    assert content["categories"] == [
        {"id": 7, "name": "leaf"},
        {"id": 5, "name": "flower"},
        {"id": 3, "name": "fruit"},
    ]
    assert [item["category_id"] for item in content["annotations"]] == [3, 7, 5]


def test_a_label_that_the_file_does_not_have_gets_a_new_id():
    content = coco({3: "fruit", 7: "leaf"}, 3)
    ids = match_classes(content, ["stem", "fruit", "root"], "a.json")
    assert ids == [8, 3, 10], "beyond the highest, by the place among the labels"
    assert len(set(ids)) == 3
    assert match_classes(coco({}), ["a", "b"], "a.json") == [1, 2]


def test_a_class_that_is_not_a_label_is_refused_if_it_is_used():
    categories = {1: "leaf", 2: "stem", 3: "root"}
    assert match_classes(coco(categories, 1), ["leaf"], "a.json") == [1]
    with pytest.raises(DataError) as error:
        match_classes(coco(categories, 1, 3, 2), ["leaf"], "a.json")
    assert str(error.value) == (
        "a.json has annotations of 'root', 'stem', but the labels are ['leaf']."
        " Use the same names in both files."
    )
    with pytest.raises(DataError, match=r"annotations of 'category 9'"):
        match_classes(coco(categories, 9), ["leaf"], "a.json")


def test_two_categories_of_one_name_are_one_class():
    content = coco({1: "leaf", 2: "stem", 3: "leaf"}, 1, 3, 3, 2)
    assert match_classes(content, ["stem", "leaf"], "a.json") == [2, 1]
    assert [item["category_id"] for item in content["annotations"]] == [1, 1, 1, 2]
    assert [c["id"] for c in content["categories"]] == [2, 1]


# Columns 2 to 5 and rows 3 to 4 of an image of 8 x 10 pixels: 4 * 2 = 8 pixels.
HEIGHT, WIDTH = 8, 10
BOX = [2.0, 3.0, 4.0, 2.0]
POLYGON = [[2, 3, 6, 3, 6, 5, 2, 5]]


def rle():
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    pixels[3:5, 2:6] = 1
    packed = api.encode(pixels)
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def uncompressed():
    """The same by columns: 19 pixels outside, then 2 inside and 6 outside, four times."""
    return {"size": [HEIGHT, WIDTH], "counts": [19, 2, 6, 2, 6, 2, 6, 2, 35]}


def completed(**annotation):
    image = {"id": 4, "height": HEIGHT, "width": WIDTH}
    item = {"id": 1, "image_id": 4, **annotation}
    complete_annotations({"images": [image], "annotations": [item]})
    return item


@pytest.mark.parametrize("segmentation", [POLYGON, rle(), uncompressed()])
def test_area_and_box_are_those_of_the_mask(segmentation):
    item = completed(segmentation=segmentation)
    assert (item["area"], item["bbox"], item["iscrowd"]) == (8.0, BOX, 0)
    assert item["segmentation"] == segmentation, "it stays as it is"


def test_several_polygons_are_one_object():
    far = [8, 0, 10, 0, 10, 1, 8, 1]  # columns 8 and 9, row 0: 2 pixels more
    item = completed(segmentation=[*POLYGON, far])
    assert (item["area"], item["bbox"]) == (10.0, [2.0, 0.0, 8.0, 5.0])


def test_without_a_mask_the_area_is_that_of_the_box():
    assert completed(bbox=[0, 0, 3, 5])["area"] == 15
    assert completed(bbox=[0, 0, 3, 5], segmentation=[])["area"] == 15


def test_what_an_annotation_says_is_kept():
    said = {"area": 7.5, "bbox": [1, 1, 2, 2], "iscrowd": 1, "segmentation": POLYGON}
    assert completed(**said) == {"id": 1, "image_id": 4, **said}


def test_an_object_without_mask_and_box_is_refused():
    with pytest.raises(DataError, match="Annotation 1 has neither a mask nor a box"):
        completed(segmentation=[])


def test_rle_is_found():
    def content(*masks):
        return {"annotations": [{"segmentation": mask} for mask in masks]}

    assert has_rle(content(POLYGON, rle()))
    assert has_rle(content(uncompressed()))
    assert not has_rle(content(POLYGON, None, []))
    assert not has_rle({"annotations": [{"bbox": BOX}]})


TRAIN = dataset_of("used_train.json", "/my images", ["leaf", "stem"], [7, 3])
VALID = dataset_of("used_valid.json", "/others", ["leaf", "stem"], [1, 2])
STEPS = [{"type": "LoadImageFromFile"}, {"type": "Resize"}]


def test_a_data_set_is_cocos_with_ones_own_names():
    assert TRAIN == {
        "type": "CocoDataset",
        "ann_file": "used_train.json",
        "data_prefix": {"img": "/my images/"},
        "metainfo": {"classes": ["leaf", "stem"], "category_ids": [7, 3]},
    }


def plain(pipeline=STEPS):
    return {"type": "CocoDataset", "ann_file": "coco.json", "pipeline": pipeline}


@pytest.mark.parametrize(
    "old",
    [
        plain(),
        {"type": "RepeatDataset", "times": 4, "dataset": plain()},
        {"type": "ClassBalancedDataset", "dataset": plain()},
        {"type": "ConcatDataset", "datasets": [plain(), plain([])]},
    ],
)
def test_a_data_set_takes_the_pipeline_of_the_one_it_replaces(old):
    assert in_place_of(old, TRAIN, True) == {
        **TRAIN,
        "test_mode": True,
        "pipeline": STEPS,
    }


def test_a_mix_of_images_stays_a_mix():
    mosaic = [{"type": "Mosaic"}]
    mix = {"type": "MultiImageMixDataset", "dataset": plain(), "pipeline": mosaic}
    assert in_place_of(mix, TRAIN, False) == {
        "type": "MultiImageMixDataset",
        "dataset": {**TRAIN, "test_mode": False, "pipeline": STEPS},
        "pipeline": mosaic,
    }


def loaders():
    cfg = {
        f"{split}_dataloader": {"batch_size": 2, "dataset": plain([{"type": split}])}
        for split in ("train", "val", "test")
    }
    return {**cfg, "val_cfg": {"type": "ValLoop"}, "val_evaluator": {"type": "X"}}


def options(batch_size, num_workers):
    return SimpleNamespace(batch_size=batch_size, num_workers=num_workers)


def test_loaders_read_the_users_data():
    cfg = loaders()
    set_data(cfg, "segm", {"train": TRAIN, "valid": VALID}, options(8, 3))
    train, val, test = (cfg[f"{s}_dataloader"] for s in ("train", "val", "test"))
    assert train == {
        "batch_size": 8,
        "num_workers": 3,
        "persistent_workers": True,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "dataset": {**TRAIN, "test_mode": False, "pipeline": [{"type": "train"}]},
    }
    assert val == {
        "batch_size": 1,
        "num_workers": 3,
        "persistent_workers": True,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {**VALID, "test_mode": True, "pipeline": [{"type": "val"}]},
    }
    # Nobody gave test images: those of the validation stand in.
    assert test["dataset"] == {
        **VALID,
        "test_mode": True,
        "pipeline": [{"type": "test"}],
    }
    evaluator = {"type": "CocoMetric", "ann_file": "used_valid.json"}
    evaluator["metric"] = ["bbox", "segm"]
    assert cfg["val_evaluator"] == cfg["test_evaluator"] == evaluator
    assert cfg["val_cfg"] == {"type": "ValLoop"}
    assert "train_evaluator" not in cfg


def test_without_validation_there_is_none():
    cfg = loaders()
    set_data(cfg, "det", {"train": TRAIN}, options(8, 0))
    assert cfg["val_dataloader"] is cfg["val_evaluator"] is cfg["val_cfg"] is None
    assert cfg["test_evaluator"]["metric"] == ["bbox"]
    assert cfg["test_dataloader"]["dataset"]["ann_file"] == "used_train.json"
    assert cfg["train_dataloader"]["persistent_workers"] is False, "without workers"


def test_ids_of_annotations_count_from_1():
    box = {"bbox": [0, 0, 2, 3], "image_id": 1}
    coco = {"images": [{"id": 1}], "annotations": [{"id": 0, **box}, {"id": 7, **box}]}
    complete_annotations(coco)
    assert [item["id"] for item in coco["annotations"]] == [1, 2]
