"""Which images a user means, and what is written of one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from cvtk.errors import FileError

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

import torch
from mmengine.structures import InstanceData

from cvtk.engine.predict import find_images, list_images, to_coco


@pytest.fixture
def photos(tmp_path):
    """Two folders with images of one name, and a file that is none."""
    for name in ("a b/1.jpg", "a b/é.PNG", "c/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    (tmp_path / "c" / "notes.md").write_text("no image")
    return tmp_path


def test_an_image_is_itself(photos):
    assert find_images(photos / "c/1.jpg") == {photos / "c/1.jpg": "1.jpg"}


def test_a_folder_is_searched_to_its_depth(photos):
    found = find_images(photos)
    assert found == {
        photos / name: name for name in ("a b/1.jpg", "a b/é.PNG", "c/1.jpg")
    }


def test_a_text_file_names_paths_relative_to_it(photos):
    (photos / "list.txt").write_text("\ufeffa b/é.PNG\n\n c/1.jpg \n", "utf-8")
    found = find_images(photos / "list.txt")
    assert list(found) == [photos / "a b/é.PNG", photos / "c/1.jpg"]


def test_a_coco_file_keeps_its_ids(photos):
    images = [{"id": 9, "file_name": "c/1.jpg"}, {"id": 4, "file_name": "a b/1.jpg"}]
    (photos / "coco.json").write_text(json.dumps({"images": images}))
    expected = {9: photos / "c/1.jpg", 4: photos / "a b/1.jpg"}
    assert list_images(photos / "coco.json") == expected
    assert list(find_images(photos / "coco.json")) == list(expected.values())


def test_equal_names_become_different_ones(photos):
    paths = [photos / "a b/1.jpg", photos / "c/1.jpg", photos / "a b/1.jpg"]
    assert find_images(paths) == {paths[0]: "1.jpg", paths[1]: "1_2.jpg"}


@pytest.mark.parametrize("data", ["none.jpg", "none", "list.txt"])
def test_what_is_not_there_is_named(data, photos):
    (photos / "list.txt").write_text("none.jpg\n")
    with pytest.raises(FileError, match=r"none"):
        find_images(photos / data)


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="empty"):
        find_images(tmp_path / "empty")


def test_a_prediction_as_coco_has_it():
    from pycocotools import mask as rle

    masks = np.zeros((2, 6, 8), bool)
    masks[0, 1:3, 2:5] = True
    found = InstanceData(
        bboxes=torch.tensor([[2.0, 1, 5, 3], [0, 0, 4, 6]]),
        scores=torch.tensor([0.75, 0.5]),
        labels=torch.tensor([1, 0]),
        masks=torch.from_numpy(masks),
    )
    one, two = to_coco(found, [7, 3])
    assert (one["category_id"], two["category_id"]) == (3, 7)
    assert (one["bbox"], one["score"], one["iscrowd"]) == ([2, 1, 3, 2], 0.75, 0)
    assert (one["area"], two["area"]) == (6, 0), "of the mask"
    assert (rle.decode(one["segmentation"]) == masks[0]).all()
    json.dumps([one, two])
    del found.masks
    assert [a["area"] for a in to_coco(found, [7, 3])] == [6, 24], "of the box"


def test_no_prediction_is_an_empty_list():
    found = InstanceData(
        bboxes=torch.zeros((0, 4)), scores=torch.zeros(0), labels=torch.zeros(0).long()
    )
    assert to_coco(found, [1]) == []
