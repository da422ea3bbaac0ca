"""What a COCO file has twice is made one, or told apart, before anything is written."""

from __future__ import annotations

import json

import pytest
from examples import coco_dict, photo

from cvtk.data import read
from cvtk.data.convert import convert
from cvtk.data.edit import combine
from cvtk.errors import DataError

BASE = coco_dict()["annotations"][0]
IMAGE = coco_dict()["images"][0]
LEAF = {"id": 1, "name": "leaf"}


def save(folder, **changes):
    photo(folder / "photos" / "é b.png")
    photo(folder / "photos" / "b.png", 1)
    file = folder / "twice.json"
    file.write_text(json.dumps(coco_dict(**changes)))
    return file


def test_two_categories_of_one_name_become_one_with_all_annotations(tmp_path):
    annotations = [{**BASE, "id": k, "category_id": 1 + k % 2} for k in range(1, 5)]
    categories = [LEAF, {"id": 2, "name": "leaf"}]
    file = save(tmp_path, annotations=annotations, categories=categories)
    done = convert(file, tmp_path / "all.json", label=tmp_path / "label.txt")
    assert read(tmp_path / "all.json").counts() == {"leaf": 4}
    assert (tmp_path / "label.txt").read_text() == "leaf\n"
    assert "merged" in done.notes[0].text


def test_one_image_in_two_entries_becomes_one_with_all_annotations(tmp_path):
    annotations = [{**BASE, "id": k, "image_id": k} for k in (1, 2)]
    file = save(tmp_path, annotations=annotations, images=[IMAGE, {**IMAGE, "id": 2}])
    dataset = convert(file, tmp_path / "all.json").dataset
    assert [a.image_id for a in dataset.annotations] == [1, 1]


def test_what_belongs_to_nobody_knows_whom_is_left_out_and_told(tmp_path):
    other = {**IMAGE, "file_name": "photos/b.png"}
    second = {**IMAGE, "id": 3, "file_name": "photos/c.png"}
    photo(tmp_path / "photos" / "c.png", 2)
    annotations = [BASE, {**BASE, "id": 2, "image_id": 3}]
    file = save(tmp_path, images=[IMAGE, other, second], annotations=annotations)
    done = convert(file, tmp_path / "all.json")
    assert [a.id for a in done.dataset.annotations] == [2]
    assert any("nobody knows whose" in note.text for note in done.notes)
    categories = [LEAF, {"id": 1, "name": "stem"}, {"id": 2, "name": "root"}]
    annotations = [BASE, {**BASE, "id": 2, "category_id": 2}]
    file = save(tmp_path, annotations=annotations, categories=categories)
    done = convert(file, tmp_path / "other.json")
    assert done.dataset.counts() == {"leaf": 0, "stem": 0, "root": 1}
    assert any("stood for several names" in note.text for note in done.notes)


@pytest.mark.parametrize("key", ["images", "categories"])
def test_sets_whose_ids_repeat_are_not_combined(key, tmp_path):
    twice = {
        "images": [IMAGE, {**IMAGE, "file_name": "photos/b.png"}],
        "categories": [LEAF, {"id": 1, "name": "stem"}],
    }
    dataset = read(save(tmp_path, **{key: twice[key]}))
    with pytest.raises(DataError, match=r"twice.json: ids of images or categories"):
        combine([dataset])
