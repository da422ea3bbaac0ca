"""Each format is read from a file as its tool writes it, and what is written is read back."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from examples import ALL, FLAT, H, W, coco_dict, labelme, photo, ring, square, yolo
from PIL import Image
from pycocotools.coco import COCO

from cvtk.data import RLE, read
from cvtk.data.convert import convert, load
from cvtk.data.formats.detect import detect
from cvtk.data.formats.records import FEATURES, FORMATS, tables
from cvtk.data.masks import from_bitmap, iou, to_bitmap
from cvtk.errors import DataError, FileError


def mask_of(dataset, name):
    """The bitmap of the only object of a class."""
    ids = {c.name: c.id for c in dataset.categories}
    (found,) = [a for a in dataset.annotations if a.category_id == ids[name]]
    return to_bitmap(found.segmentation, W, H)


def disc(rx, ry):
    y, x = np.mgrid[:H, :W] + 0.5
    return (((x - 20) / rx) ** 2 + ((y - 15) / ry) ** 2 <= 1).astype(np.uint8)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("name", ALL)
def test_the_format_is_found_out(name, tmp_path):
    assert detect(ALL[name](tmp_path)) == name


@pytest.mark.parametrize("name", ALL)
def test_the_leaf_arrives_as_it_was_drawn_and_pycocotools_loads_it(name, tmp_path):
    source = ALL[name](tmp_path)
    before = {
        p: hashlib.sha256(p.read_bytes()).digest()
        for p in tmp_path.rglob("*")
        if p.is_file()
    }
    target = tmp_path / "out" / "all.json"
    done = convert(source, target)
    assert done.source_format == name
    coco = COCO(str(target))
    leaf = next(c["id"] for c in coco.cats.values() if c["name"] == "leaf")
    first = coco.loadAnns(coco.getAnnIds(catIds=[leaf]))[0]
    assert (coco.annToMask(first) == square()).all()
    assert first["area"] == square().sum()
    assert first["bbox"] == [5, 4, 20, 16]
    image = coco.imgs[first["image_id"]]
    assert image["file_name"].endswith("é b.png")
    assert Image.open(target.parent / image["file_name"]).size == (W, H)
    after = {p: hashlib.sha256(p.read_bytes()).digest() for p in before}
    assert after == before  # the source is as it was


@pytest.mark.parametrize("name", ["labelme", "via", "cvat"])
def test_round_shapes_become_polygons(name, tmp_path):
    dataset = load(ALL[name](tmp_path)).dataset
    assert overlap(mask_of(dataset, "disc"), disc(10, 10)) > 0.95  # of 317 pixels
    if name == "via":
        assert overlap(mask_of(dataset, "egg"), disc(12, 6)) > 0.95


@pytest.mark.parametrize("name", ["labelme", "cvat", "labelstudio"])
def test_masks_with_holes_arrive_exactly(name, tmp_path):
    assert (mask_of(load(ALL[name](tmp_path)).dataset, "ring") == ring()).all()


@pytest.mark.parametrize("name", ["labelme", "via", "labelstudio"])
def test_rectangles_stay_boxes_unless_asked(name, tmp_path):
    source = ALL[name](tmp_path)
    dataset = load(source).dataset
    (number,) = [c.id for c in dataset.categories if c.name == "box"]
    (box,) = [a for a in dataset.annotations if a.category_id == number]
    assert box.segmentation is None
    assert np.allclose(box.bbox, [5, 4, 20, 16])
    done = convert(source, tmp_path / "out" / "all.json", boxes_to_masks=True)
    assert (mask_of(done.dataset, "box") == square()).all()


def test_a_turned_rectangle_becomes_a_polygon_and_says_so(tmp_path):
    converted = load(ALL["cvat"](tmp_path))
    # CVAT's is 16 x 20, turned by 90 degrees about its centre.
    assert (mask_of(converted.dataset, "box") == square()).all()
    assert any("turned box" in note.text for note in converted.notes)


def test_boxes_keep_their_fractions(tmp_path):
    file = ALL["cvat"](tmp_path) / "annotations.xml"
    text = file.read_text("utf-8").replace('rotation="90.00"', "")
    file.write_text(text.replace('xtl="7.00"', 'xtl="7.25"'), "utf-8")
    dataset = load(tmp_path).dataset
    boxes = [a.bbox for a in dataset.annotations if not a.has_mask]
    assert boxes == [[7.25, 2, 15.75, 20]]


@pytest.mark.parametrize("name", ["labelme", "via", "cvat", "labelstudio"])
def test_what_cannot_be_a_mask_is_told(name, tmp_path):
    converted = load(ALL[name](tmp_path))
    assert "stem" not in converted.dataset.class_names
    said = [str(note) for note in converted.notes]
    assert any("left out" in text for text in said)
    assert all("é b" in text or "task 11" in text for text in said)


def test_labelme_parts_of_one_group_are_one_object(tmp_path):
    assert mask_of(load(labelme(tmp_path)).dataset, "pair").sum() == 9 + 12


def test_labelme_with_the_image_inside(tmp_path):
    folder = labelme(tmp_path)
    file, image = folder / "json" / "é b.json", folder / "photos" / "é b.png"
    content = json.loads(file.read_text("utf-8"))
    import base64

    data = image.read_bytes()
    content.update(
        imageData=base64.b64encode(data).decode(), imageWidth=None, imageHeight=None
    )
    file.write_text(json.dumps(content))
    image.unlink()
    done = convert(folder, tmp_path / "out" / "all.json")
    (entry,) = done.dataset.images
    assert (entry.width, entry.height) == (W, H)
    assert (tmp_path / "out" / entry.file_name).read_bytes() == data


def test_voc_boxes_count_from_one_and_unboxed_masks_have_the_class_of_their_colour(
    tmp_path,
):
    dataset = load(ALL["voc"](tmp_path)).dataset
    assert sorted(dataset.class_names) == ["cat", "dog", "leaf"]
    assert mask_of(dataset, "dog").sum() == 6 * 7
    assert mask_of(dataset, "cat").sum() == 7 * 4
    for mask in (tmp_path / "SegmentationObject").iterdir():
        mask.unlink()
    boxes = load(tmp_path).dataset
    assert [a.bbox for a in boxes.annotations] == [[5, 4, 20, 16], [30, 2, 6, 7]]
    assert all(a.segmentation is None for a in boxes.annotations)


def test_yolo_boxes_splits_and_empty_images(tmp_path):
    source = yolo(tmp_path)
    dataset = load(source).dataset
    assert dataset.class_names == ["box", "leaf"]
    assert len(dataset.images) == 2
    box = next(a for a in dataset.annotations if a.category_id == 1)
    assert np.allclose(box.bbox, [5, 4, 20, 16])
    assert box.segmentation is None
    assert len(load(source, split="val").dataset.images) == 1
    with pytest.raises(DataError, match=r"no split 'test'.*train, val"):
        load(source, split="test")


def test_masks_folder_with_one_class(tmp_path):
    photo(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(square() * 255).save(tmp_path / "masks" / "a.png")
    dataset = load(tmp_path).dataset
    assert dataset.class_names == ["object"]
    assert (mask_of(dataset, "object") == square()).all()


def full_set(folder):
    """Everything COCO can hold: one polygon, two parts, a hole, a crowd, numbers and text in RLE."""
    photo(folder / "photos" / "é b.png")
    crowd = np.zeros((H, W), np.uint8)
    crowd[22:28, 28:38] = 1
    numbers = {"size": [H, W], "counts": [22 + 28 * H, *[6, H - 6] * 9, 6, 2 + 2 * H]}
    assert (to_bitmap(RLE((H, W), numbers["counts"]), W, H) == crowd).all()
    packed = from_bitmap(ring())
    parts = [[30.0, 2, 36, 2, 36, 8], [30.0, 12, 36, 12, 36, 18, 30, 18]]
    notes = [
        {"id": 1, "category_id": 1, "segmentation": [[1.0, 22, 12, 22, 12, 29, 1, 29]]},
        {"id": 2, "category_id": 2, "segmentation": parts, "note": "kept"},
        {
            "id": 3,
            "category_id": 1,
            "segmentation": {"size": [H, W], "counts": packed.counts},
        },
        {"id": 4, "category_id": 2, "segmentation": numbers, "iscrowd": 1},
    ]
    content = coco_dict(
        annotations=[{"image_id": 1, **n} for n in notes],
        categories=[{"id": 1, "name": "leaf"}, {"id": 2, "name": "イチゴ"}],
    )
    file = folder / "full.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("form", ["coco", "yolo", "labelme", "voc"])
def test_round_trips_keep_every_mask_the_format_can_hold(form, tmp_path):
    source = full_set(tmp_path)
    target = tmp_path / "there" / ("all.json" if form == "coco" else form)
    there = convert(source, target, target_format=form)
    back = convert(target, tmp_path / "back" / "all.json")
    original, returned = read(source), back.dataset
    assert set(returned.class_names) == {"leaf", "イチゴ"}
    names = {c.id: c.name for c in returned.categories}
    wanted = [
        a for a in original.annotations if form in ("coco", "labelme") or not a.is_crowd
    ]
    assert len(returned.annotations) == len(wanted)
    left = list(returned.annotations)
    for a in wanted:
        best = max(left, key=lambda b: iou(a.segmentation, b.segmentation, W, H))
        limit = (
            0.98
            if isinstance(a.segmentation, list) or form in ("yolo", "labelme")
            else 1.0
        )
        assert iou(a.segmentation, best.segmentation, W, H) >= limit
        assert names[best.category_id] == {1: "leaf", 2: "イチゴ"}[a.category_id]
        left.remove(best)
    crowd_told = any(
        "annotation 4" in n.item and "crowd" in n.text for n in there.notes
    )
    assert crowd_told == (form != "coco")
    if form == "coco":
        assert json.loads(target.read_text("utf-8"))["annotations"][1]["note"] == "kept"


def test_text_ids_become_numbers_and_missing_fields_are_filled(tmp_path):
    photo(tmp_path / "photos" / "é b.png")
    image = {"id": "im-a", "file_name": "photos/é b.png"}
    annotation = {
        "id": "x",
        "image_id": "im-a",
        "category_id": "c",
        "segmentation": [FLAT],
    }
    content = {
        "images": [image],
        "annotations": [annotation],
        "categories": [{"id": "c", "name": "leaf"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    done = convert(tmp_path / "a.json", tmp_path / "b.json")
    (found,) = done.dataset.annotations
    assert (found.id, found.image_id, found.category_id) == (1, 1, 1)
    assert (found.area, found.bbox, found.iscrowd) == (320, [5, 4, 20, 16], 0)
    assert done.dataset.images[0].size == (W, H)
    assert {n.item for n in done.notes} >= {
        "image 'im-a'",
        "category 'c'",
        "annotation 'x'",
    }


def test_nothing_is_overwritten_and_the_source_is_never_the_target(tmp_path):
    file = ALL["coco"](tmp_path)
    with pytest.raises(FileError, match="exists already"):
        convert(file, file)
    with pytest.raises(FileError, match="is the source itself"):
        convert(file, file, force=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        convert(file, tmp_path / "full", target_format="yolo")
    convert(file, tmp_path / "full", target_format="yolo", force=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_unknown_file_is_told(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"x.json is in no format.*--from"):
        load(tmp_path / "x.json")
    with pytest.raises(FileError, match="no such file"):
        load(tmp_path / "y.json")


def test_the_page_has_the_tables_of_the_records():
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    assert tables() in page.read_text("utf-8")


def test_each_record_tells_the_truth():
    for record in FORMATS.values():
        module = importlib.import_module(f"cvtk.data.formats.{record.name}")
        assert callable(module.read)
        assert hasattr(module, "write") == (record.written and record.name != "coco")
        assert record.holds <= set(FEATURES)
        assert bool(record.loses) == (record.written and record.name != "coco")
