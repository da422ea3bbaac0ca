"""The demo data set: read back by pycocotools, and made of what it promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import iou as box_iou

from cvtk.demo import make_demo
from cvtk.demo.dataset import annotation
from cvtk.errors import FileError


def decoded(segmentation, height, width):
    """The mask as pycocotools sees it."""
    coco = COCO()
    coco.imgs = {1: {"id": 1, "height": height, "width": width}}
    return coco.annToMask({"image_id": 1, "segmentation": segmentation}).astype(bool)


@pytest.mark.parametrize(
    ("crowd", "packed"), [(False, False), (False, True), (True, False)]
)
def test_each_form_of_a_mask_is_the_mask(crowd, packed):
    mask = np.zeros((9, 8), bool)
    mask[2:6, 3:8] = True
    mask[8, 7] = True
    made = annotation(mask, 2, crowd=crowd, packed=packed)
    np.testing.assert_array_equal(decoded(made["segmentation"], 9, 8), mask)
    assert made["area"] == mask.sum()
    assert made["bbox"] == [3, 2, 5, 7]


def test_the_data_set_holds_what_real_ones_hold(demo):
    forms = set()
    for path, count in ((demo.train, 4), (demo.valid, 3), (demo.test, 3)):
        coco = COCO(str(path))
        assert len(coco.imgs) == count
        assert [
            c["name"] for c in coco.loadCats(coco.getCatIds())
        ] == demo.label.read_text().split()
        for image in coco.imgs.values():
            with Image.open(path.parent / image["file_name"]) as photo:
                assert photo.size == (image["width"], image["height"])
        assert len(coco.getAnnIds(imgIds=[count])) == 0, (
            "the last image has no annotations"
        )
        crowds = [a for a in coco.anns.values() if a["iscrowd"]]
        assert len(crowds) == 1
        for a in coco.anns.values():
            mask = coco.annToMask(a)
            assert a["area"] == mask.sum() > 0
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            np.testing.assert_allclose(a["bbox"], box)
            s = a["segmentation"]
            forms.add("polygon" if isinstance(s, list) else type(s["counts"]).__name__)
    assert forms == {"polygon", "list", "str"}


@pytest.fixture(scope="module")
def dancers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dancers")
    return make_demo(folder, images=(8, 1, 1), size=(128, 96), poses=True)


def test_dancers_have_skeletons_and_nearly_the_same_boxes(dancers):
    coco = COCO(str(dancers.train))
    [category] = coco.cats.values()
    names = category["keypoints"]
    assert dancers.label.read_text() == f"{category['name']}\n"
    assert all(1 <= end <= len(names) for limb in category["skeleton"] for end in limb)
    overlaps = []
    for image in coco.imgs:
        found = coco.loadAnns(coco.getAnnIds(imgIds=image))
        for item in found:
            points, mask = np.reshape(item["keypoints"], (-1, 3)), coco.annToMask(item)
            marked = points[points[:, 2] > 0]
            column, row = marked[:, :2].astype(int).T
            assert len(points) == len(names) and item["num_keypoints"] == len(marked)
            visible = np.where(marked[:, 2] == 2, mask[row, column], True)
            assert visible.mean() > 0.9, "outlines smooth a mask's edge"
            assert (points[points[:, 2] == 0] == 0).all()
        boxes = [item["bbox"] for item in found]
        ious = box_iou(boxes, boxes, [0] * len(boxes)) if boxes else np.eye(1)
        overlaps += [row.max() for row in ious - np.eye(len(ious))]
    assert np.mean(np.array(overlaps) > 0.5) > 0.3, overlaps


@pytest.mark.parametrize("made", ["demo", "dancers"])
def test_masks_are_what_is_seen_so_they_never_overlap(made, request):
    coco = COCO(str(request.getfixturevalue(made).train))
    for image in coco.imgs:
        masks = [coco.annToMask(a) for a in coco.imgToAnns[image]]
        if masks:
            assert np.sum(masks, axis=0).max() == 1


def test_the_seed_decides_the_pixels(tmp_path):
    def read(name, seed):
        files = make_demo(tmp_path / name, images=(1, 1, 1), size=(64, 48), seed=seed)
        return files.train.read_bytes(), next(
            (files.train.parent / "images").iterdir()
        ).read_bytes()

    first = read("a", 3)
    assert read("b", 3) == first
    assert read("c", 4) != first


def test_nothing_is_overwritten_without_force(tmp_path):
    make_demo(tmp_path, images=(1, 1, 1), size=(64, 48))
    before = (tmp_path / "train" / "segm.json").read_text()
    with pytest.raises(
        FileError, match=r"already holds label\.txt, train, valid, test.*force=True"
    ):
        make_demo(tmp_path, images=(1, 1, 1), size=(64, 48), seed=9)
    assert (tmp_path / "train" / "segm.json").read_text() == before
    (tmp_path / "mine.txt").write_text("kept")
    make_demo(tmp_path, images=(2, 1, 1), size=(64, 48), force=True)
    assert (
        len(json.loads((tmp_path / "train" / "segm.json").read_text())["images"]) == 2
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "label.txt",
        "mine.txt",
        "test",
        "train",
        "valid",
    ]


@pytest.mark.parametrize("content", ['{"info": {"description": "my own"}}', "{", "[]"])
def test_force_replaces_demos_alone(tmp_path, content):
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "segm.json").write_text(content)
    (tmp_path / "valid" / "photo.jpg").write_text("mine")
    with pytest.raises(FileError, match="valid is not of a demo"):
        make_demo(tmp_path, images=(1, 1, 1), size=(64, 48), force=True)
    assert (tmp_path / "valid" / "photo.jpg").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["valid"]
