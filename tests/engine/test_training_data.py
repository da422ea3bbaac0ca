"""The annotations of a training: read once, checked, and written as MMDetection needs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk import data
from cvtk.engine.spec import make_spec
from cvtk.engine.training_data import (
    align_categories,
    image_with_most_objects,
    prepare_data,
)
from cvtk.errors import DataError, FileError


@pytest.fixture
def prepared(demo, chosen):
    """Prepares the sets of a training."""

    def prepare(labels=demo.label, **changes):
        spec = make_spec("rtmdet-ins_tiny_8xb32-300e_coco", labels, "segm", False)
        options = chosen(**changes)
        return prepare_data(spec, options), options

    return prepare


def test_each_set_is_checked_and_written(prepared, demo):
    found, options = prepared(test=demo.test)
    assert list(found.datasets) == ["train", "valid", "test"]
    assert found.images == 4 and found.rle
    for split, file in options.annotation_files.items():
        told = found.datasets[split]
        used = options.workspace / f"used_{split}.json"
        assert told["ann_file"] == str(used)
        assert Path(told["data_prefix"]["img"]) == file.parent
        content = json.loads(used.read_text())
        original = json.loads(file.read_text())
        assert len(content["annotations"]) == len(original["annotations"])
    name, objects = found.most_objects["train"]
    counts = [a["image_id"] for a in json.loads(demo.train.read_text())["annotations"]]
    assert objects == max(map(counts.count, counts)) and name.startswith("images/")
    assert found.test.file == demo.test


def test_with_print_config_nothing_is_written(prepared):
    found, options = prepared(print_config=True)
    assert found.images == 4
    assert not options.workspace.exists()


def test_a_set_without_rle(prepared, demo, tmp_path):
    folder = tmp_path / "polygons"
    shutil.copytree(demo.train.parent, folder)
    coco = json.loads((folder / "segm.json").read_text())
    kept = [a for a in coco["annotations"] if isinstance(a["segmentation"], list)]
    (folder / "segm.json").write_text(json.dumps({**coco, "annotations": kept}))
    assert not prepared(train=folder / "segm.json")[0].rle


def test_labels_may_be_in_another_order_and_fewer_images_lack_a_class(demo):
    dataset = data.read(demo.train)
    names = [c.name for c in dataset.categories]
    ids = {c.name: c.id for c in dataset.categories}
    assert align_categories(dataset, names[::-1]) == [ids[n] for n in names[::-1]]
    assert [c.name for c in dataset.categories] == names[::-1]


def test_other_classes_are_named(prepared, tmp_path):
    (tmp_path / "label.txt").write_text("apple\npear\n")
    with pytest.raises(DataError, match="apple"):
        prepared(labels=tmp_path / "label.txt")


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_missing_image_is_named_in_each_set(split, prepared, demo, tmp_path):
    shutil.copytree(demo.train.parent, tmp_path / "set")
    (tmp_path / "set/images/train_002.jpg").unlink()
    with pytest.raises(FileError, match=r"train_002\.jpg"):
        prepared(**{split: tmp_path / "set/segm.json"})


def test_the_image_with_the_most_objects():
    coco = {
        "images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "b"}],
        "annotations": [{"image_id": n} for n in (2, 1, 2)],
    }
    assert image_with_most_objects(coco) == ("b", 2)
    assert image_with_most_objects({**coco, "annotations": []}) == ("", 0)
