"""COCO files are read and written to the letter; masks agree with pycocotools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from examples import FLAT, H, W, coco_dict, photo, ring
from pycocotools import mask as api

import cvtk.data
from cvtk.data import (
    RLE,
    Dataset,
    contours,
    geometry,
    masks,
    read,
    require_images,
    write,
)
from cvtk.data.coco import dump, parse, to_dict
from cvtk.errors import DataError, FileError


def test_every_field_of_the_source_survives(tmp_path):
    content = coco_dict(info={"by": "me"}, licenses=[], mine={"deep": [1, {"a": None}]})
    content["images"][0].update(license=3, date="2024", extra="a field of our own name")
    content["annotations"][0].update(
        attributes={"ripe": True}, ignore=0, area=320.0000000000001
    )
    content["categories"][0].update(
        supercategory="plant", keypoints=["a"], extra={"x": 1}
    )
    (tmp_path / "a.json").write_text(json.dumps(content))
    dataset = read(tmp_path / "a.json")
    write(dataset, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == content
    assert json.loads(dump(parse(json.dumps(content).encode()))) == content


def test_a_byte_order_mark_and_windows_lines_do_no_harm():
    text = json.dumps(coco_dict(), indent=1).replace("\n", "\r\n").encode("utf-8-sig")
    assert len(parse(text).annotations) == 1


def test_missing_fields_stay_missing():
    content = coco_dict()
    for key in ("area", "iscrowd", "bbox", "segmentation"):
        del content["annotations"][0][key]
    dataset = parse(json.dumps(content).encode())
    assert not dataset.annotations[0].is_crowd
    assert json.loads(dump(dataset)) == content


def test_bad_items_are_collected_where_asked():
    content = coco_dict()
    content["annotations"] += [
        {"id": 2},
        "no object",
        {**content["annotations"][0], "id": 3, "bbox": "x"},
    ]
    bad = []
    dataset = parse(
        json.dumps(content).encode(),
        "a.json",
        lambda item, error: bad.append((item, str(error))),
    )
    assert [a.id for a in dataset.annotations] == [1]
    assert [item for item, _ in bad] == [
        "annotations[1] (id 2)",
        "annotations[2]",
        "annotations[3] (id 3)",
    ]
    assert "bbox" in bad[2][1]


def test_a_data_set_shows_its_classes():
    dataset = parse(json.dumps(coco_dict()).encode())
    assert dataset.counts() == {"leaf": 1}
    assert "<td>leaf</td><td>1</td>" in dataset._repr_html_()
    assert repr(Dataset()) == "<Dataset of 0 images, 0 annotations, 0 classes>"
    assert "read" in cvtk.data.__all__


@pytest.mark.parametrize("seed", range(20))
def test_compressed_counts_are_read_as_pycocotools_writes_them(seed):
    rng = np.random.default_rng(seed)
    bitmap = (
        rng.random((rng.integers(1, 90), rng.integers(1, 90))) < rng.random()
    ).astype(np.uint8)
    rle = api.encode(np.asfortranarray(bitmap))
    runs = masks.decode_counts(rle["counts"])
    assert (np.repeat(np.arange(len(runs)) % 2, runs) == bitmap.ravel(order="F")).all()
    height, width = bitmap.shape
    back = masks.to_bitmap(RLE((height, width), runs.tolist()), width, height)
    assert (back == bitmap).all()
    if bitmap.any():
        area, box = masks.area_and_bbox(masks.from_bitmap(bitmap), width, height)
        assert (area, box) == (float(api.area(rle)), api.toBbox(rle).tolist())


@pytest.mark.parametrize("seed", range(20))
def test_outlines_drawn_again_give_the_same_bitmap(seed):
    rng = np.random.default_rng(seed)
    bitmap = (rng.random((15, 21)) < 0.6).astype(np.uint8)
    outer, holes = contours.trace(bitmap)
    drawn = np.zeros_like(bitmap)
    for polygon in [*outer, *holes]:
        drawn ^= masks.to_bitmap([polygon], 21, 15)
    assert (drawn == bitmap).all()


def test_a_hole_survives_in_one_polygon():
    joined = contours.join(*contours.trace(ring()))
    assert masks.iou([joined], masks.from_bitmap(ring()), W, H) == 1.0


@pytest.mark.parametrize(
    ("rle", "said"),
    [
        (RLE((H, W), [5, 5]), "do not add up"),
        (RLE((H, W), [-5, H * W + 5]), "do not add up"),
        (RLE((H, W), "~~~"), "compressed text"),
        (RLE((H, W), "é"), "compressed text"),
        (RLE((H, W), "oooooooooooooooo0"), "longer than any image"),
        (RLE((H, W), [2**70]), "longer than any image"),
        (RLE((H + 1, W), [(H + 1) * W]), "is 40 x 31 pixels, its image 40 x 30"),
        (RLE((10**6, 10**6), [10**12]), "its image 40 x 30"),
    ],
)
def test_masks_that_would_crash_pycocotools_are_refused(rle, said):
    with pytest.raises(DataError, match=said):
        masks.to_rle(rle, W, H)


def test_areas_and_crossings_of_many_polygons():
    bow = [0.0, 0, 10, 10, 10, 0, 0, 10]
    keyhole = [
        0.0,
        0,
        10,
        0,
        10,
        10,
        5,
        10,
        5,
        5,
        5,
        10,
        0,
        10,
    ]  # in and out along one line: touching only
    pincer = [
        0.0,
        0,
        10,
        0,
        10,
        1,
        3,
        1,
        3,
        5,
        1,
        5,
        1,
        -2,
        0,
        -2,
    ]  # crosses twice, and turns once
    facts = geometry.measure([FLAT, bow, keyhole, pincer, [0.0, 0, 4, 0, 4, 3]])
    assert facts.area.tolist()[::4] == [320, 6]
    assert facts.crossing.tolist() == [False, True, False, True, False]
    assert facts.box[0].tolist() == [5, 4, 25, 20]


def test_require_images_names_the_first_and_counts_the_rest(tmp_path):
    images = [
        {"id": k, "file_name": f"i{k}.jpg", "width": W, "height": H} for k in range(9)
    ]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(coco_dict(images=images, annotations=[])))
    for k in range(9):
        photo(tmp_path / f"i{k}.jpg", k)
    require_images(read(file))
    (tmp_path / "i3.jpg").unlink()
    with pytest.raises(
        FileError, match=r"a.json: 1 of 9 images.*i3.jpg: the image is missing"
    ):
        require_images(read(file))
    photo(tmp_path / "i3.jpg", size=(H, W))
    with pytest.raises(
        DataError,
        match=r"i3.jpg: the image is 30 x 40 pixels, the annotations say 40 x 30",
    ):
        require_images(read(file))
    for k in range(3, 9):
        data = (tmp_path / f"i{k}.jpg").read_bytes()
        (tmp_path / f"i{k}.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(
        DataError, match=r"6 of 9 images.*i7.jpg: the image is cut off.*And 1 more"
    ):
        require_images(read(file))


def test_the_dictionary_of_a_set_is_that_of_its_file():
    content = coco_dict(info={"by": "me"}, licenses=[])
    content["annotations"][0]["note"] = {"ripe": True}
    assert to_dict(parse(json.dumps(content).encode())) == content


def test_the_dictionary_is_complete_where_the_file_is_not():
    content = coco_dict()
    for key in ("area", "bbox", "iscrowd"):
        del content["annotations"][0][key]
    content["annotations"][0]["id"] = 0  # pycocotools takes 0 for "no object"
    (found,) = to_dict(parse(json.dumps(content).encode()))["annotations"]
    assert (found["id"], found["iscrowd"]) == (1, 0)
    assert (found["area"], found["bbox"]) == (320, [5, 4, 20, 16])
