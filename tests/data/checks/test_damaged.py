"""Each damage that once crashed a training or was trained on in silence: check names it, training refuses, --fix mends."""

from __future__ import annotations

import json

import pytest
from examples import FLAT, H, W, coco_dict, photo, ring

from cvtk.data import read
from cvtk.data.checks import check, require_trainable
from cvtk.data.checks.repair import repair_file
from cvtk.data.masks import from_bitmap
from cvtk.errors import CvtkError, DataError

BASE = coco_dict()["annotations"][0]
IMAGE = coco_dict()["images"][0]
LEAF = {"id": 1, "name": "leaf"}
PACKED = {"size": [H, W], "counts": from_bitmap(ring()).counts}
SECOND = {**IMAGE, "id": 2, "file_name": "photos/b.png"}


def packed(counts):
    return {"annotations": [{**BASE, "segmentation": {**PACKED, "counts": counts}}]}


def one(**changes):
    return {"annotations": [{**BASE, **changes}]}


def without(item, key):
    return {k: v for k, v in item.items() if k != key}


DAMAGES = {
    "two categories of one name": {"categories": [LEAF, {"id": 2, "name": "leaf"}]},
    "two categories of one id": {"categories": [LEAF, {"id": 1, "name": "stem"}]},
    "two images of one id": {"images": [IMAGE, {**SECOND, "id": 1}]},
    "two images of one file": {"images": [IMAGE, {**IMAGE, "id": 2}]},
    "two annotations of one id": {"annotations": [BASE, {**BASE, "area": 319}]},
    "RLE too short": packed(PACKED["counts"][:-4]),
    "RLE too long": packed(PACKED["counts"] + "0P"),
    "RLE with zero bytes": packed("\0" * 9),
    "RLE that is none": packed("hello ~~~"),
    "RLE of an empty text": packed(""),
    "RLE of nothing": packed([]),
    "RLE of wrong numbers": packed([5, 5]),
    "polygon at 1e300": one(segmentation=[[1e300, 1, 5, 9, 9, 9]]),
    "polygon of two points": one(segmentation=[[1, 1, 9, 9]]),
    "box of three numbers": one(bbox=[5, 4, 20], segmentation=[]),
    "box of no numbers": one(bbox=[], segmentation=[]),
    "box of null": one(bbox=None, segmentation=None),
    "box of three numbers beside a mask": one(bbox=[5, 4, 20]),
    "category ids as text": {
        "categories": [{"id": "a", "name": "leaf"}],
        **one(category_id="a"),
    },
    "image ids as text": {"images": [{**IMAGE, "id": "x"}], **one(image_id="x")},
    "an id beyond all arrays": one(id=2**70),
    "no width": {"images": [without(IMAGE, "width")]},
    "no height": {"images": [without(IMAGE, "height")]},
    "height 0": {"images": [{**IMAGE, "height": 0}]},
    "height as a text": {"images": [{**IMAGE, "height": "30"}]},
    "no image of the id": one(image_id=7),
    "no category of the id": one(category_id=7),
}


def save(folder, content):
    photo(folder / "photos" / "é b.png")
    photo(folder / "photos" / "b.png", 1)
    file = folder / "damaged.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_check_calls_an_error_training_refuses_and_fix_mends(damage, tmp_path):
    file = save(tmp_path, coco_dict(**DAMAGES[damage]))
    report = check([file])
    assert not report.passed
    for task in ("segm", "det"):
        with pytest.raises(DataError, match=r"damaged\.json") as error:
            require_trainable(read(file), ["leaf"], task, train=False)
        assert "\n" not in str(error.value)
    fixed, notes = repair_file(file, tmp_path / "fixed.json")
    assert notes
    kinds = {p.kind for p in check([tmp_path / "fixed.json"]).problems.items}
    assert kinds <= ALLOWED
    if fixed.annotations:
        require_trainable(read(tmp_path / "fixed.json"), ["leaf"], "segm", train=False)


# What is left where a fix drops the only annotation.
ALLOWED = {
    "few examples",
    "class unused",
    "no annotations",
    "image without annotations",
    "no mask",
}


def test_objects_of_merged_classes_and_images_are_all_kept(tmp_path):
    content = coco_dict(
        images=[IMAGE, {**IMAGE, "id": 2}],
        categories=[LEAF, {"id": 2, "name": "leaf"}],
        annotations=[
            BASE,
            {**BASE, "id": 2, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 9]]},
            {**BASE, "id": 3, "image_id": 2, "segmentation": [[9, 9, 15, 9, 15, 19]]},
        ],
    )
    fixed, _ = repair_file(save(tmp_path, content), tmp_path / "fixed.json")
    assert [(a.image_id, a.category_id) for a in fixed.annotations] == [(1, 1)] * 3
    assert fixed.counts() == {"leaf": 3}


def test_text_ids_become_numbers(tmp_path):
    content = coco_dict(
        images=[{**IMAGE, "id": "12"}], annotations=[{**BASE, "image_id": "12"}]
    )
    fixed, _ = repair_file(save(tmp_path, content), tmp_path / "fixed.json")
    assert (fixed.images[0].id, fixed.annotations[0].image_id) == (12, 12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><body>404</body></html>",
        "[" * 100_000,
        '{"images": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"images": [], "annotations": {}, "categories": []}',
    ],
)
def test_what_is_no_coco_file_ends_in_a_line_that_names_it(text, tmp_path):
    (tmp_path / "damaged.json").write_text(text)
    with pytest.raises(CvtkError, match=r"damaged\.json") as error:
        read(tmp_path / "damaged.json")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize("name", ["\ud800.png", "x" * 300 + ".png", "a\x1b[2Jb.png"])
def test_odd_names_are_named_without_harm(name, tmp_path):
    file = save(tmp_path, coco_dict(images=[{**IMAGE, "file_name": name}]))
    report = check([file])
    assert not report.passed  # there is no such image
    fixed, _ = repair_file(file, tmp_path / "fixed.json")
    assert not fixed.images


@pytest.mark.parametrize("name", ["leaf\ud800", "x" * 300, "<b>leaf</b>"])
def test_odd_class_names_are_kept(name, tmp_path):
    file = save(tmp_path, coco_dict(categories=[{"id": 1, "name": name}]))
    (found,) = read(file).class_names
    assert found.replace("?", "") == name.replace("\ud800", "")
    require_trainable(read(file), [found], "segm", train=True)
    assert "<b>" not in read(file)._repr_html_()


def perturbed(seed):
    """An annotation whose box and area are off by little or much."""
    import random

    rng = random.Random(seed)
    x, y = rng.uniform(0, 20), rng.uniform(0, 15)
    w, h = rng.uniform(2, 18), rng.uniform(0.5, 14)
    outline = [x, y, x + w, y, x + w, y + h * rng.random(), x, y + h]
    off = rng.choice([0, 0.5, 1.5, 2.5, 5])
    box = [v + rng.uniform(-off, off) for v in (x, y, w, h)]
    return {
        **BASE,
        "id": seed,
        "segmentation": [outline],
        "bbox": box,
        "area": rng.uniform(0.3, 1.5) * w * h,
    }


def test_fix_mends_whatever_check_names_of_boxes_and_areas(tmp_path):
    content = coco_dict(annotations=[perturbed(k) for k in range(1, 400)])
    file = save(tmp_path, content)
    assert {"box and mask", "area and mask"} <= {
        p.kind for p in check([file]).problems.items
    }
    repair_file(file, tmp_path / "fixed.json")
    left = check([tmp_path / "fixed.json"]).problems.items
    assert {p.kind for p in left} <= {"near-identical objects"}


def test_flat_masks_are_named_and_dropped(tmp_path):
    line = [[1, 1, 30, 20, 1, 1]]
    content = coco_dict(annotations=[BASE, {**BASE, "id": 2, "segmentation": line}])
    file = save(tmp_path, content)
    assert check([file]).problems.of_kind("zero area")
    fixed, _ = repair_file(file, tmp_path / "fixed.json")
    assert [a.id for a in fixed.annotations] == [1]
    assert fixed.annotations[0].segmentation[0] == FLAT
