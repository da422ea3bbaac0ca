"""Data sets cut into tiles: every pixel of a mask is where it was, and what is left out is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from cvtk import data
from cvtk.data.cut import cut_into_tiles
from cvtk.errors import DataError, FileError
from cvtk.io import encode_mask

SIZE = (100, 60)  # width and height


def rectangle(left, top, right, bottom):
    """A polygon."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def dataset(folder, objects, categories=("leaf",)):
    """One image whose pixels tell where they are, with these segmentations or boxes."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.uint8)
    (folder / "a b").mkdir(exist_ok=True)
    Image.fromarray(np.dstack((x, y, x + y))).save(folder / "a b" / "1.png")
    annotations = []
    for number, thing in enumerate(objects, 10):
        item = {"id": number, "image_id": "x", "category_id": 1, "note": number}
        item.update(thing)
        annotations.append(item)
    image = {
        "id": "x",
        "file_name": "a b/1.png",
        "width": 100,
        "height": 60,
        "by": "me",
    }
    content = {
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": name} for name in categories],
    }
    (folder / "all.json").write_text(json.dumps(content))
    return data.read(folder / "all.json")


def tiles(folder):
    """(left, top) -> the masks in that tile, by the note of their object."""
    coco = COCO(str(folder / "all.json"))
    found = {}
    for image in coco.imgs.values():
        place = (image["left"], image["top"])
        found[place] = {
            item["note"]: (coco.annToMask(item), item)
            for item in coco.imgToAnns[image["id"]]
        }
    return found


def test_pixels_and_masks_stay_together(tmp_path):
    things = [
        {"segmentation": rectangle(5, 5, 20, 15)},  # in the first tile
        {"segmentation": rectangle(45, 20, 70, 40)},  # on the seam
        {"segmentation": encode_mask(np.pad(np.ones((9, 9)), ((40, 11), (80, 11))))},
    ]
    whole = dataset(tmp_path, things)
    done = cut_into_tiles(whole, tmp_path / "out", size=60, overlap=0.2, share=0.1)
    assert (done.tiles, done.empty) == (2, 0)
    assert (done.whole, done.cut, done.left_out, done.lost) == (3, 1, 0, 0)
    truth = COCO(str(tmp_path / "all.json"))
    masks = {item["note"]: truth.annToMask(item) for item in truth.anns.values()}
    for (left, top), objects in tiles(tmp_path / "out").items():
        for note, (mask, item) in objects.items():
            part = masks[note][top : top + 60, left : left + 60]
            np.testing.assert_array_equal(mask, part)
            rows, columns = np.nonzero(part)
            x, y, w, h = item["bbox"]
            assert (x, y) == (columns.min(), rows.min())
            assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)
            assert item["area"] == part.sum()
    for image in json.loads((tmp_path / "out" / "all.json").read_text())["images"]:
        with Image.open(tmp_path / "out" / image["file_name"]) as picture:
            pixels = np.asarray(picture)
        assert pixels.shape == (image["height"], image["width"], 3)
        assert pixels[0, 0].tolist()[:2] == [image["left"], image["top"]]
        assert (image["tile_of"], image["by"]) == ("a b/1.png", "me")


def test_what_is_in_a_tile_as_a_whole_keeps_its_polygon(tmp_path):
    whole = dataset(tmp_path, [{"segmentation": rectangle(70, 5, 80, 15)}])
    cut_into_tiles(whole, tmp_path / "out", size=60)
    [(place, objects)] = tiles(tmp_path / "out").items()
    assert place == (40, 0)
    assert objects[10][1]["segmentation"] == [[30, 5, 40, 5, 40, 15, 30, 15]]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, (1, 0, 1)), (0.25, (1, 1, 0)), (0.26, (1, 0, 1))]
)
def test_an_object_that_is_cut_is_kept_from_a_share_on(share, expected, tmp_path):
    # Columns 55 to 74, of which the first tile, which ends at 60, shows a quarter.
    whole = dataset(tmp_path, [{"segmentation": rectangle(55, 5, 75, 15)}])
    done = cut_into_tiles(whole, tmp_path / "out", size=60, share=share)
    assert (done.whole, done.cut, done.left_out) == expected
    assert done.lost == 0


def test_what_is_in_no_tile_is_counted(tmp_path):
    whole = dataset(tmp_path, [{"segmentation": rectangle(2, 2, 98, 58)}])
    done = cut_into_tiles(whole, tmp_path / "out", size=60, share=0.9)
    assert (done.tiles, done.left_out, done.lost) == (0, 2, 1)


def test_boxes_without_masks_are_cut_too(tmp_path):
    whole = dataset(tmp_path, [{"bbox": [30, 10, 40, 20]}])
    cut_into_tiles(whole, tmp_path / "out", size=60)
    boxes = {
        place: [item["bbox"] for _, item in objects.values()]
        for place, objects in tiles_of_boxes(tmp_path / "out").items()
    }
    assert boxes == {(0, 0): [[30, 10, 30, 20]], (40, 0): [[0, 10, 30, 20]]}


def tiles_of_boxes(folder):
    content = json.loads((folder / "all.json").read_text())
    return {
        (image["left"], image["top"]): {
            a["id"]: (None, a)
            for a in content["annotations"]
            if a["image_id"] == image["id"]
        }
        for image in content["images"]
    }


def test_a_crowd_is_kept_wherever_it_is_seen(tmp_path):
    crowd = {
        "segmentation": encode_mask(np.pad(np.ones((9, 63)), ((0, 51), (37, 0)))),
        "iscrowd": 1,
    }
    done = cut_into_tiles(
        dataset(tmp_path, [crowd]), tmp_path / "out", size=60, share=1
    )
    assert (done.tiles, done.left_out) == (2, 0)


def test_tiles_without_objects_are_written_if_wanted(tmp_path):
    whole = dataset(tmp_path, [{"segmentation": rectangle(2, 2, 9, 9)}])
    done = cut_into_tiles(whole, tmp_path / "out", size=60)
    assert (done.tiles, done.empty) == (1, 1)
    done = cut_into_tiles(whole, tmp_path / "both", size=60, empty=True)
    assert (done.tiles, done.empty) == (2, 1)


def test_nothing_is_replaced_unasked(tmp_path):
    whole = dataset(tmp_path, [{"segmentation": rectangle(2, 2, 9, 9)}])
    cut_into_tiles(whole, tmp_path / "out", size=60)
    with pytest.raises(FileError, match="exists already"):
        cut_into_tiles(whole, tmp_path / "out", size=60)
    cut_into_tiles(whole, tmp_path / "out", size=60, force=True)
    with pytest.raises(DataError, match="no images to cut"):
        cut_into_tiles(data.Dataset(), tmp_path / "none", size=60)


def test_a_set_of_tiles_can_be_trained_on(demo, tmp_path):
    from cvtk.data import checks

    source = data.read(demo.train)
    done = cut_into_tiles(source, tmp_path / "out", size=64)
    tiled = data.read(done.file)
    assert done.lost == 0 and len(tiled.images) == done.tiles > len(source.images)
    checks.require_trainable(tiled, source.class_names, "segm", train=True)
    checks.require_images(tiled)
