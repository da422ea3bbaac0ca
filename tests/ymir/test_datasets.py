"""The platform's index files as COCO files that cvtk trains on."""

from __future__ import annotations

import json

import pytest
from pycocotools.coco import COCO
from trees import Tree

from cvtk.data.checks import require_images
from cvtk.data.checks.training import require_trainable
from cvtk.data.coco import read as read_coco
from cvtk.ymir.datasets import prepare
from cvtk.ymir.failures import Code, Failure


@pytest.fixture(params=[0, 1], ids=["from 0", "from 1"])
def tree(request, tmp_path):
    """Six images; ids count from 0 or 1."""
    tree = Tree(tmp_path / "tree", first_id=request.param)
    tree.env["run_training"] = True
    tree.add_images(6)
    tree.index("train", [0, 2, 5])
    tree.index("val", [1, 4])
    return tree


def change(tree, edit):
    coco = json.loads(tree.annotations.read_text())
    edit(coco)
    tree.annotations.write_text(json.dumps(coco))


def refused(task):
    with pytest.raises(Failure) as caught:
        prepare(task)
    return caught.value


def test_each_split_has_the_images_of_its_index_and_the_classes_of_the_task(tree, read):
    task = read("training")
    prepare(task)
    train, valid = COCO(str(task.train)), COCO(str(task.valid))
    assert [c["name"] for c in train.cats.values()] == ["berry", "leaf"]
    assert list(train.cats) == [1, 2]
    assert len(train.imgs) == 3 and len(valid.imgs) == 2
    assert len(train.anns) == 4 and len(valid.anns) == 4, "the last image is empty"
    berry, leaf = (train.loadAnns(train.getAnnIds(1, id_))[0] for id_ in (1, 2))
    assert (berry["bbox"], leaf["bbox"]) == ([8, 8, 24, 24], [10, 40, 60, 14])
    dataset = read_coco(task.train)
    require_trainable(dataset, ["berry", "leaf"], "segm", train=True)
    require_images(dataset)


def test_boxes_of_a_detection_are_those_of_the_same_masks(tree, read, messages):
    tree.write_boxes()
    assert tree.ark(0).read_text().splitlines()[0] == "0, 8, 8, 31, 31, -1.0, 0.0"
    masks = read("training")
    prepare(masks)
    expected = COCO(str(masks.train))
    for link in masks.work.iterdir():
        link.unlink()
    tree.index("train", [0, 2, 5], boxes=True)
    tree.index("val", [1, 4], boxes=True)
    task = read("training")
    prepare(task)
    train = COCO(str(task.train))
    assert train.cats == expected.cats and len(train.imgs) == 3
    for number in (1, 2):
        [one], [other] = (c.loadAnns(c.getAnnIds(1, number)) for c in (train, expected))
        assert one["bbox"] == other["bbox"] and one["area"] == other["area"]
    dataset = read_coco(task.train)
    require_trainable(dataset, ["berry", "leaf"], "det", train=True)
    require_images(dataset)
    assert "count as empty" not in messages.text

    for link in task.work.iterdir():
        link.unlink()
    tree.ark(2).unlink()
    task = read("training")
    prepare(task)
    assert len(COCO(str(task.train)).anns) == 2
    assert "images without annotations, which count as empty: 1." in messages.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0, 1, 2, 3", "line 2 is not a class and four pixels: '0, 1, 2, 3'"),
        ("berry, 1, 2, 3, 4", "line 2 is not a class and four pixels"),
        ("2, 1, 2, 3, 4, 1.0, 0.0", "line 2 has the class 2, and there are 2, from 0"),
    ],
)
def test_a_line_that_is_no_box(tree, read, line, said):
    tree.write_boxes()
    tree.index("train", [0, 2], boxes=True)
    tree.ark(2).write_text(f"0, 1, 2, 3, 4\n{line}\n")
    failure = refused(read("training"))
    assert failure.code is Code.DATA and f"{tree.ark(2)}: {said}" in str(failure)


def test_an_image_is_known_by_the_last_part_of_its_name_too(tree, read):
    def shorten(coco):
        for image in coco["images"]:
            image["file_name"] = image["file_name"].split("/")[-1]

    change(tree, shorten)
    task = read("training")
    prepare(task)
    assert len(COCO(str(task.train)).anns) == 4
    require_images(read_coco(task.train))


def test_images_of_the_same_name_in_two_folders_stay_apart(tree, read):
    first, other = tree.image(0), tree.inn / "assets" / "other" / tree.image(0).name
    other.parent.mkdir()
    other.write_bytes(tree.image(3).read_bytes())
    rows = [f"{image}\t{tree.annotations}\n" for image in (other, tree.image(2))]
    (tree.inn / "train-index.tsv").write_text("".join(rows))
    task = read("training")
    prepare(task)
    train = COCO(str(task.train))
    assert first.is_file() and len(train.imgs) == 2
    assert len(train.anns) == 2, "those of the first are not taken for the other's"


def test_an_image_that_the_annotations_lack_counts_as_empty(tree, read, messages):
    change(tree, lambda coco: coco["images"].pop(2))
    task = read("training")
    prepare(task)
    train = COCO(str(task.train))
    assert len(train.imgs) == 3 and len(train.anns) == 2
    assert {(i["width"], i["height"]) for i in train.imgs.values()} == {(96, 64)}
    assert (
        "images that are not in the annotations, and count as empty: 1."
        in messages.text
    )


def test_objects_of_other_classes_are_left_out(tree, read, messages):
    tree.config["class_names"] = ["leaf"]
    task = read("training")
    prepare(task)
    assert len(COCO(str(task.train)).anns) == 2
    assert "objects of classes that are not to be learnt: 2." in messages.text


def test_classes_that_nobody_knows(tree, read):
    tree.config["class_names"] = ["Berry"]
    failure = refused(read("training"))
    assert failure.code is Code.DATA
    assert "has the classes leaf, berry, stone" in str(failure)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_index(tree, read, text):
    (tree.inn / "val-index.tsv").write_text(text)
    failure = refused(read("training"))
    assert failure.code is Code.DATA and "val-index.tsv names no images" in str(failure)


def test_annotations_that_know_none_of_the_images(tree, read):
    change(tree, lambda coco: coco.update(images=[], annotations=[]))
    failure = refused(read("training"))
    assert failure.code is Code.DATA and "know none of its images" in str(failure)


def test_an_index_without_annotations(tree, read):
    tree.index("train", [0, 1], annotated=False)
    failure = refused(read("training"))
    assert failure.code is Code.DATA and "Keep export_format" in str(failure)


def test_annotations_that_are_no_coco(tree, read):
    tree.annotations.write_text("{")
    assert refused(read("training")).code is Code.DATA


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, Code.DATA), (b"", Code.IMAGE), (b"no image", Code.IMAGE)],
)
def test_an_image_that_cannot_be_read_is_named(tree, read, content, code):
    image = tree.image(2)
    image.unlink()
    if content is not None:
        image.write_bytes(content)
    failure = refused(read("training"))
    assert failure.code is code
    assert "1 of the 3 images" in str(failure) and image.name in str(failure)


def test_the_images_to_predict_keep_their_order_and_are_there_once(tree, read):
    tree.index("candidate", [3, 0, 3, 1], annotated=False)
    (tree.inn / "models" / "a.pth").touch()
    tree.config["model_params_path"] = ["a.pth"]
    task = read("infer")
    prepare(task)
    assert task.images == [str(tree.image(number)) for number in (3, 0, 1)]
