"""What training reads: classes in the order of the labels, and nothing missing that MMDetection needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from cvtk.data.prepare import prepare_annotations
from cvtk.errors import DataError

SQUARE = [10.0, 10.0, 50.0, 10.0, 50.0, 40.0, 10.0, 40.0]
SIZE = {"height": 60, "width": 80}


def write(folder, annotations, categories=(("stem", 9), ("leaf", 4)), **more):
    content = {
        "images": [{"id": 5, "file_name": "a b/ü.jpg", **SIZE}],
        "categories": [{"id": i, "name": name} for name, i in categories],
        "annotations": annotations,
        **more,
    }
    file = folder / "in put.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def annotation(number=1, **more):
    return {
        "id": number,
        "image_id": 5,
        "category_id": 4,
        "segmentation": [SQUARE],
        **more,
    }


def prepared(file, classes=("leaf", "stem")):
    output = file.parent / "work" / "train.json"
    return prepare_annotations(file, list(classes), output), COCO(str(output))


def test_the_classes_are_in_the_order_of_the_labels(tmp_path):
    file = write(tmp_path, [annotation()])
    fields, coco = prepared(file)
    assert [c["name"] for c in coco.dataset["categories"]] == ["leaf", "stem"]
    assert [c["id"] for c in coco.dataset["categories"]] == [4, 9], "ids are kept"
    assert fields["metainfo"] == {"classes": ["leaf", "stem"], "category_ids": [4, 9]}


@pytest.mark.parametrize("labels", [["leaf", "stem"], ["stem", "leaf"]])
def test_mmdetection_gives_each_instance_its_own_name(labels, tmp_path):
    datasets = pytest.importorskip("mmdet.datasets", reason="needs MMDetection")
    truth = {1: "leaf", 2: "stem", 3: "stem"}
    items = [
        annotation(
            n,
            category_id={"leaf": 4, "stem": 9}[name],
            area=n * 10,
            bbox=[n, 10, 40, 30],
        )
        for n, name in truth.items()
    ]
    fields, _ = prepared(write(tmp_path, items), labels)
    image = datasets.CocoDataset(pipeline=[], **fields).get_data_info(0)
    names = {i["bbox"][0]: labels[i["bbox_label"]] for i in image["instances"]}
    assert names == truth


def test_a_label_without_objects_gets_an_id_of_its_own(tmp_path):
    fields, coco = prepared(
        write(tmp_path, [annotation()]), ["new", "leaf", "stem", "other"]
    )
    ids = fields["metainfo"]["category_ids"]
    assert ids[1:3] == [4, 9]
    assert len({*ids}) == 4
    assert [coco.cats[i]["name"] for i in ids] == ["new", "leaf", "stem", "other"]


def test_names_are_read_as_utf_8_wherever(tmp_path):
    names = (("いちご", 9), ("été", 4))
    file = write(tmp_path, [annotation()], names)
    file.write_text(
        json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False), "utf-8"
    )
    code = "import sys; from pathlib import Path; from cvtk.data.prepare import *;"
    code += "prepare_annotations(sys.argv[1], ['\\xe9t\\xe9'], Path(sys.argv[2]))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    output = tmp_path / "used.json"
    subprocess.run(
        [sys.executable, "-c", code, file, output],
        env={**os.environ, **plain},
        check=True,
    )
    assert [c["name"] for c in COCO(str(output)).dataset["categories"]] == ["été"]


def test_a_class_that_no_label_names_is_an_error(tmp_path):
    with pytest.raises((DataError, SystemExit), match=r"in put\.json.*leaf"):
        prepared(write(tmp_path, [annotation()]), ["leav", "stem"])


def test_an_unused_category_that_no_label_names_is_left_out(tmp_path):
    fields, coco = prepared(write(tmp_path, [annotation()]), ["leaf"])
    assert [c["name"] for c in coco.dataset["categories"]] == ["leaf"]
    assert fields["metainfo"]["category_ids"] == [4]


def test_missing_area_box_and_crowd_are_those_of_the_mask(tmp_path):
    packed = rle.frPyObjects([SQUARE], 60, 80)[0]
    counts = {"size": [60, 80], "counts": packed["counts"].decode()}
    triangle = [60.0, 5.0, 75.0, 5.0, 60.0, 25.0]
    file = write(
        tmp_path,
        [
            annotation(1),
            annotation(2, segmentation=counts),
            annotation(3, segmentation=[SQUARE, triangle]),
        ],
    )
    _, coco = prepared(file)
    for number, polygons in ((1, [SQUARE]), (2, [SQUARE]), (3, [SQUARE, triangle])):
        mask = rle.merge(rle.frPyObjects(polygons, 60, 80))
        made = coco.anns[number]
        assert made["area"] == rle.area(mask)
        assert made["bbox"] == rle.toBbox(mask).tolist()
        assert made["iscrowd"] == 0


def test_a_box_alone_gets_its_area(tmp_path):
    item = {"id": 1, "image_id": 5, "category_id": 9, "bbox": [1, 2, 30, 40]}
    _, coco = prepared(write(tmp_path, [item]))
    assert (coco.anns[1]["area"], coco.anns[1]["iscrowd"]) == (1200, 0)


def test_what_is_stated_stays(tmp_path):
    item = annotation(7, area=3.5, bbox=[1, 2, 3, 4], iscrowd=0, note="mine")
    _, coco = prepared(write(tmp_path, [item]))
    assert coco.anns == {7: item}
    assert coco.imgs == {5: {"id": 5, "file_name": "a b/ü.jpg", **SIZE}}


def test_a_crowd_stays_a_crowd(tmp_path):
    mask = np.zeros((60, 80), np.uint8)
    mask[10:40, 10:50] = 1
    flat = mask.ravel(order="F")
    turns = (
        np.flatnonzero(np.diff(flat.astype(int))) + 1
    )  # it starts with zeros, and ends so
    runs = np.diff(np.concatenate([[0], turns, [flat.size]]))
    counts = {"size": [60, 80], "counts": runs.tolist()}
    _, coco = prepared(write(tmp_path, [annotation(1, segmentation=counts, iscrowd=1)]))
    assert coco.anns[1]["iscrowd"] == 1
    assert coco.anns[1]["area"] == mask.sum()
    assert (coco.annToMask(coco.anns[1]) == mask).all()


def test_images_are_beside_the_file(tmp_path):
    fields, _ = prepared(write(tmp_path, [annotation()]))
    assert fields["data_prefix"]["img"].rstrip("/") == str(tmp_path.resolve())


def test_the_users_file_is_left_alone(tmp_path):
    file = write(tmp_path, [annotation()])
    before = file.read_bytes()
    prepared(file)
    assert file.read_bytes() == before
