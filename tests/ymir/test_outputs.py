"""What the platform reads: the monitor's line, scores, predictions and codes."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from pycocotools.coco import COCO

from cvtk.errors import DataError, LossError, ModelError, NetworkError, OptionError
from cvtk.io import decode_mask, encode_mask
from cvtk.results import Result
from cvtk.ymir import write_detections, write_inference, write_mining
from cvtk.ymir.failures import Code, Failure, code_of
from cvtk.ymir.monitor import Monitor


@pytest.fixture
def task(tree, read):
    (tree.inn / "models" / "a.pth").touch()
    tree.config["model_params_path"] = ["a.pth"]
    tree.env |= {"run_mining": True, "run_infer": True}
    return read("infer")


def result(path, scores, labels):
    """A prediction in an image of 8 x 6 pixels; the model knows leaf first, the platform berry."""
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:5] = True
    count = len(scores)
    return Result(
        path,
        6,
        8,
        ("leaf", "berry"),
        (1, 2),
        labels,
        scores,
        [[2, 1, 3, 2]] * count,
        [encode_mask(mask)] * count,
    )


def test_the_line_of_the_monitor(tmp_path):
    file = tmp_path / "out" / "monitor.txt"
    Monitor(file, "t9").show(0.256)
    name, at, *rest = file.read_text().rstrip("\n").split("\t")
    assert (name, rest) == ("t9", ["0.26", "2", "0"])
    assert abs(float(at) - time.time()) < 60
    Monitor(file, "t9").show(0.1)
    assert file.read_text().split("\t")[2] == "0.26", "it never goes back"
    Monitor(file, "t9").fail(Code.MEMORY)
    assert file.read_text().split("\t")[2:] == ["0.26", "4", "300103\n"]


def test_a_monitor_that_another_program_has_damaged(tmp_path):
    file = tmp_path / "monitor.txt"
    file.write_text("what")
    Monitor(file, "t9").show(0.5)
    assert file.read_text().split("\t")[2:] == ["0.50", "2", "0\n"]


def test_the_most_instructive_image_comes_first(task, tree):
    write_mining(task, [("/in/a b.jpg", 0.25), ("/in/b.jpg", 2.0), ("/in/c.jpg", 0)])
    assert (tree.out / "result.tsv").read_text() == (
        "/in/b.jpg\t2.000000\n/in/a b.jpg\t0.250000\n/in/c.jpg\t0.000000\n"
    )


def test_predictions_as_the_platform_reads_them(task, tree):
    results = [
        result(tree.inn / "x" / "1.jpg", [0.9, 0.4], [0, 1]),
        result(tree.inn / "2.jpg", [], []),
    ]
    write_inference(task, results)
    file = tree.out / "infer-result.json"
    found = COCO(str(file))
    assert {c["id"]: c["name"] for c in found.cats.values()} == {0: "berry", 1: "leaf"}
    assert [i["file_name"] for i in found.imgs.values()] == ["1.jpg", "2.jpg"]
    leaf, berry = json.loads(file.read_text())["annotations"]
    assert set(leaf) == {
        "id",
        "image_id",
        "category_id",
        "segmentation",
        "bbox",
        "confidence",
    }
    assert (leaf["category_id"], berry["category_id"]) == (1, 0)
    assert (leaf["id"], berry["id"], berry["image_id"]) == (1, 2, 1)
    assert (leaf["bbox"], leaf["confidence"]) == ([2, 1, 3, 2], 0.9)
    assert decode_mask(leaf["segmentation"]).sum() == 6


@pytest.mark.parametrize(
    ("version", "key"), [("0.0.1", "annotations"), ("1.0.0", "boxes")]
)
def test_boxes_as_the_platform_reads_them(task, tree, read, version, key):
    tree.env["protocol_version"] = version
    found = result(tree.inn / "x" / "1.jpg", [0.9, 0.4], [0, 1])
    found.bboxes[1] = [0.4, 1.6, 2.2, 0.1]
    write_detections(read("infer"), [found, result(tree.inn / "2.jpg", [], [])])
    assert json.loads((tree.out / "infer-result.json").read_text()) == {
        "detection": {
            "1.jpg": {
                key: [
                    {
                        "class_name": "leaf",
                        "score": 0.9,
                        "box": {"x": 2, "y": 1, "w": 3, "h": 2},
                    },
                    {
                        "class_name": "berry",
                        "score": 0.4,
                        "box": {"x": 0, "y": 2, "w": 3, "h": 1},
                    },
                ]
            },
            "2.jpg": {key: []},
        }
    }


def test_a_class_that_the_platform_does_not_know(task, tree):
    task.class_names[:] = ["leaf"]
    with pytest.raises(Failure, match="The model finds berry") as caught:
        write_inference(task, [result(tree.inn / "1.jpg", [0.9], [0])])
    assert caught.value.code is Code.CONFIGURATION
    assert not (tree.out / "infer-result.json").exists()


class OutOfMemoryError(RuntimeError):
    """As torch.cuda's is called."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OptionError("a"), 300001),
        (DataError("a"), 300002),
        (Failure(Code.IMAGE, "a"), 300003),
        (ModelError("a"), 300004),
        (RuntimeError("CUDA error: no kernel image is available"), 300101),
        (Failure(Code.NO_GPU, "a"), 300102),
        (MemoryError(), 300103),
        (OutOfMemoryError("CUDA out of memory"), 300103),
        (LossError("a"), 300201),
        (NetworkError("a"), 300301),
        (ZeroDivisionError(), 160004),
    ],
)
def test_each_kind_of_error_has_its_code(error, code):
    assert code_of(error) == code
