"""Results: what goes in comes out, as pycocotools reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvtk.errors import FileError
from cvtk.io import decode_mask, encode_mask
from cvtk.results import Result, write_instances

CLASSES, IDS = ("leaf", "fruit"), (3, 7)


@pytest.fixture
def result(tmp_path):
    """Two objects in a grey image of 6 x 8: a leaf of 2 x 3 at the corner, a fruit of 3 x 2 pixels."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 6), (90, 90, 90)).save(path)
    leaf, fruit = np.zeros((2, 6, 8), bool)
    leaf[0:2, 0:3] = True
    fruit[3:6, 5:7] = True
    return Result(
        path,
        6,
        8,
        CLASSES,
        IDS,
        [0, 1],
        [0.9, 0.4],
        [[0, 0, 3, 2], [5, 3, 2, 3]],
        [encode_mask(leaf), encode_mask(fruit)],
    )


@pytest.fixture
def boxes(result):
    """The same from a detector."""
    return Result(
        result.path, 6, 8, CLASSES, IDS, result.labels, result.scores, result.bboxes
    )


def test_masks_are_packed_as_pycocotools_packs_them():
    mask = np.random.default_rng(0).random((7, 9)) < 0.5
    rle = encode_mask(mask)
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle["counts"].encode() == packed["counts"]
    json.dumps(rle)
    np.testing.assert_array_equal(decode_mask(rle), mask)


def test_to_dicts(result, boxes):
    leaf, fruit = result.to_dicts()
    assert (leaf["category"], leaf["category_id"], leaf["score"]) == ("leaf", 3, 0.9)
    assert fruit["bbox"] == [5, 3, 2, 3]
    assert fruit["mask"].dtype == np.uint8
    np.testing.assert_array_equal(
        np.argwhere(fruit["mask"]), [[y, x] for y in (3, 4, 5) for x in (5, 6)]
    )
    assert [d["mask"] for d in boxes.to_dicts()] == [None, None]


def test_indexing_and_filter(result):
    assert len(result) == 2
    assert result.filter(0.4).names == ["leaf", "fruit"], "the limit itself is kept"
    assert result.filter(0.5).names == ["leaf"]
    assert (
        result[result.labels == 1].names
        == result[1].names
        == result[[1]].names
        == ["fruit"]
    )
    assert result[::-1].scores.tolist() == [0.4, 0.9]
    assert result[1].masks == [result.masks[1]]
    nothing = result.filter(1.1)
    assert (len(nothing), nothing.bboxes.shape, nothing.masks) == (0, (0, 4), [])
    with pytest.raises(IndexError):
        result[2]


def test_the_best_keep_their_order(result):
    weak_first = result[::-1]
    assert weak_first.best(1).scores.tolist() == [0.9]
    assert weak_first.best(2).scores.tolist() == [0.4, 0.9]
    assert weak_first.best(None).scores.tolist() == [0.4, 0.9]


def test_empty(result):
    none = Result.empty(result.path, 6, 8, CLASSES, IDS)
    assert (len(none), none.masks, none.to_coco()) == (0, [], [])
    assert Result.empty(result.path, 6, 8, CLASSES, IDS, with_masks=False).masks is None
    with Image.open(result.path) as image:
        assert none.draw().tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.5]}, "unequal length"),
        ({"labels": [0, 2]}, "not an index of the 2 classes"),
        ({"labels": [-1, 0]}, "not an index"),
        ({"category_ids": (1,)}, "2 classes but 1 category ids"),
        (
            {"masks": [{"size": [8, 6], "counts": "0"}] * 2},
            r"mask 0 has size \[8, 6\], not \[6, 8\]",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(result, change, message):
    parts = {name: getattr(result, name) for name in Result.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        Result(**{**parts, **change})


def test_print(result, capsys):
    result.print()
    out = capsys.readouterr().out
    assert "photo.png (8 x 6): 2 objects" in out
    assert "leaf   0.900  x 0.0  y 0.0  width 3.0  height 2.0" in out


def test_coco_annotations_have_the_area_of_the_mask(result, boxes):
    leaf, fruit = result.to_coco(image_id=5, first_id=10)
    assert leaf == {
        "id": 10, "image_id": 5, "category_id": 3, "bbox": [0, 0, 3, 2], "segmentation": result.masks[0],
        "area": 6, "iscrowd": 0, "score": 0.9,
    }  # fmt: skip
    assert fruit["id"] == 11
    assert "segmentation" not in boxes.to_coco()[0]
    assert boxes.to_coco()[1]["area"] == 6


def test_pycocotools_loads_the_document_and_scores_it_perfect_against_itself(
    result, tmp_path
):
    results = [result, Result.empty(tmp_path / "none.png", 6, 8, CLASSES, IDS), result]
    path = tmp_path / "out" / "instances.json"
    assert write_instances(path, iter(results), CLASSES, IDS) == 4
    document = json.loads(path.read_text())
    assert document["annotations"][:2] == result.to_coco(image_id=1, first_id=1)
    assert document["annotations"][2:] == result.to_coco(image_id=3, first_id=3)
    assert [i["file_name"] for i in document["images"]] == [
        "photo.png",
        "none.png",
        "photo.png",
    ]
    truth = COCO(str(path))
    assert len({a["id"] for a in document["annotations"]}) == 4
    for kind in ("segm", "bbox"):
        # loadRes changes what it is given.
        predicted = truth.loadRes(json.loads(path.read_text())["annotations"])
        evaluation = COCOeval(truth, predicted, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1)


def test_a_detector_s_document_loads_as_results(boxes, tmp_path):
    path = tmp_path / "instances.json"
    write_instances(path, [boxes], CLASSES, IDS)
    truth = COCO(str(path))
    assert len(truth.loadRes(list(truth.anns.values())).anns) == 2


def test_nothing_half_written_is_left(result, tmp_path):
    def broken():
        yield result
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_instances(tmp_path / "out" / "a.json", broken(), CLASSES, IDS)
    assert list((tmp_path / "out").iterdir()) == []


def test_save_names_the_file_after_the_image_and_overwrites_nothing(result, tmp_path):
    out = tmp_path / "büro out"
    assert result.save_to_img(out) == out / "photo.png"
    assert result.save_to_json(out) == out / "photo.json"
    assert result.save_to_img(out / "other.jpg") == out / "other.jpg"
    assert sorted(p.name for p in out.iterdir()) == [
        "other.jpg",
        "photo.json",
        "photo.png",
    ]
    for save in (result.save_to_img, result.save_to_json):
        with pytest.raises(FileError, match=r"exists already.*force=True"):
            save(out)
        save(out, force=True)
    before = result.path.read_bytes()
    with pytest.raises(FileError, match="is the image itself"):
        result.save_to_img(result.path.parent, force=True)
    assert result.path.read_bytes() == before


@pytest.mark.parametrize("name", ["drawn.jpg", "drawn.png", "drawn.webp", "drawn.json"])
def test_a_full_disk_leaves_no_half_file(name, result, tmp_path, full_disk):
    save = result.save_to_json if name.endswith("json") else result.save_to_img
    size = save(tmp_path / name).stat().st_size
    for room in (0, size // 2, size - 1):
        with full_disk(room), pytest.raises(FileError, match=r"cannot be written"):
            save(tmp_path / "out" / name)
        assert list((tmp_path / "out").iterdir()) == []
    with full_disk(size):
        save(tmp_path / "out" / name)


def test_an_image_is_only_written_as_one(result, tmp_path):
    named = replace(result, name="photo.dat")
    with pytest.raises(FileError, match=r"photo\.dat does not end like an image"):
        named.save_to_img(tmp_path / "out")


def test_images_of_one_name_are_told_apart_by_their_folders(result, tmp_path):
    parts = {name: getattr(result, name) for name in Result.__dataclass_fields__}
    named = Result(**{**parts, "name": "plot 1/photo.png"})
    assert named.filter(0.5).name == "plot 1/photo.png"
    assert (
        named.save_to_img(tmp_path / "out") == tmp_path / "out" / "plot 1" / "photo.png"
    )
    assert (
        named.save_to_json(tmp_path / "out")
        == tmp_path / "out" / "plot 1" / "photo.json"
    )
    write_instances(tmp_path / "all.json", [named], CLASSES, IDS)
    (image,) = json.loads((tmp_path / "all.json").read_text())["images"]
    assert image["file_name"] == "plot 1/photo.png"


def test_a_photo_that_exif_turns_is_drawn_upright(tmp_path):
    # 40 x 20 in the file, turned by a quarter when it is seen: 20 wide, 40 high.
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (10, 20, 30)).save(tmp_path / "turned.jpg", exif=exif)
    mask = np.zeros((40, 20), bool)
    mask[30:40, 0:20] = True
    result = Result(
        tmp_path / "turned.jpg",
        40,
        20,
        ("a",),
        (1,),
        [0],
        [1],
        [[0, 30, 20, 10]],
        [encode_mask(mask)],
    )
    with Image.open(result.save_to_img(tmp_path / "out.png")) as drawn:
        pixels = np.asarray(drawn).astype(int)
    assert pixels.shape == (40, 20, 3)
    assert np.abs(pixels[0, :, :] - [10, 20, 30]).max() < 3
    assert np.abs(pixels[35, 10] - [10, 20, 30]).max() > 30


def test_a_notebook_shows_the_drawn_image(result):
    assert result._repr_png_().startswith(b"\x89PNG")
    result.path.unlink()
    assert result._repr_png_() is None


def test_draw_wants_an_image_of_the_same_size(result):
    with pytest.raises(ValueError, match=r"image is \(6, 8\), the result \(8, 6\)"):
        result.draw(Image.new("RGB", (6, 8)))


@pytest.mark.parametrize(
    "surroundings",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {}],
    ids=str,
)
def test_names_in_any_script_are_printed_and_written_in_any_locale(
    tmp_path, surroundings
):
    Image.new("RGB", (8, 6)).save(tmp_path / "Blüte 花.png")
    code = f"""
import sys
from cvtk.results import Result
folder = {str(tmp_path)!r}
result = Result(folder + "/Blüte 花.png", 6, 8, ["цветок\\x1b[31m"], [1], [0], [0.5], [[0, 0, 2, 2]])
result.print()
result.save_to_json(folder + "/out")
result.save_to_img(folder + "/out")
"""
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code],
        env={**os.environ, **surroundings},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"1 object" in done.stdout and b"0.500" in done.stdout
    assert b"\x1b" not in done.stdout, "no escapes reach the terminal"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "Blüte 花.json",
        "Blüte 花.png",
    ]
    document = json.loads((tmp_path / "out" / "Blüte 花.json").read_text())
    assert document["categories"][0]["name"] == "цветок\x1b[31m"
