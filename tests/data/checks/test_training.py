"""What would train wrongly or on nothing is refused before, in one line that names the item."""

from __future__ import annotations

import json

import pytest

from cvtk.data import read
from cvtk.data.checks import require_trainable
from cvtk.data.labels import read_labels
from cvtk.errors import DataError, FileError

SQUARE = [10.0, 10.0, 50.0, 10.0, 50.0, 40.0, 10.0, 40.0]


def annotation(number=1, **more):
    base = {"id": number, "image_id": 5, "category_id": 1, "segmentation": [SQUARE]}
    return {**base, "bbox": [10, 10, 40, 30], "area": 1200, "iscrowd": 0, **more}


def check(folder, *annotations, classes=("leaf", "stem"), task="segm", train=True):
    content = {
        "images": [{"id": 5, "file_name": "leaf.jpg", "width": 80, "height": 60}],
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "stem"}],
        "annotations": list(annotations),
    }
    file = folder / "train.json"
    file.write_text(json.dumps(content))
    return require_trainable(read(file), list(classes), task, train=train)


def message(error):
    text = str(error.value)
    assert "\n" not in text and "train.json" in text
    return text


def test_good_annotations_pass_without_a_word(tmp_path):
    packed = {"size": [60, 80], "counts": [1000, 30, 3770]}
    assert check(tmp_path, annotation(), annotation(2, segmentation=packed)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segmentation": [[1, 1, 9, 9]]}, ["fewer than three points", "leaf.jpg"]),
        ({"segmentation": [SQUARE, [1, 1, 9, 9, 5]]}, ["fewer than three points"]),
        (
            {"segmentation": {"size": [80, 60], "counts": [1000, 30, 3770]}},
            ["60 x 80", "80 x 60", "leaf.jpg"],
        ),
        ({"segmentation": [[v + 90 for v in SQUARE]]}, ["outside", "leaf.jpg"]),
        ({"segmentation": []}, ["no mask", "--task det"]),
        ({"image_id": 6}, ["image 6"]),
        ({"category_id": 3}, ["no category 3", "leaf.jpg"]),
    ],
)
def test_what_cannot_be_used_is_named(changes, words, tmp_path):
    with pytest.raises(DataError) as error:
        check(tmp_path, annotation(), annotation(31, **changes))
    text = message(error)
    assert all(word in text for word in words), text
    if "category_id" not in changes:
        assert "annotation 31" in text


def test_boxes_alone_are_enough_for_detection(tmp_path):
    assert check(tmp_path, annotation(segmentation=[]), task="det") == []


@pytest.mark.parametrize("labels", [["leav", "stem"], ["leaf", "stam"]])
def test_a_misspelt_class_shows_both_sides_and_the_closest(labels, tmp_path):
    with pytest.raises(DataError) as error:
        check(tmp_path, annotation(), annotation(2, category_id=2), classes=labels)
    text = message(error)
    assert "['leaf', 'stem']" in text and str(labels) in text
    assert "Did you mean" in text


def test_a_label_that_a_training_set_does_not_have_is_refused(tmp_path):
    labels = ["leaf", "stem", "root"]
    with pytest.raises(DataError, match="'root'"):
        check(tmp_path, annotation(), classes=labels)
    assert check(tmp_path, annotation(), classes=labels, train=False) == []


def test_no_annotation_is_refused(tmp_path):
    with pytest.raises(DataError) as error:
        check(tmp_path)
    assert "no annotations" in message(error)


@pytest.mark.parametrize("changes", [{"area": 0}, {"bbox": [10, 10, 0.4, 30]}])
def test_what_would_be_ignored_in_silence_is_told(changes, tmp_path):
    (note,) = check(tmp_path, annotation(), annotation(31, **changes))
    assert "1 of 2" in note and "31" in note


@pytest.mark.parametrize("text", ["not JSON", "[1, 2]", "{}", '{"images": 3}'])
def test_a_file_that_is_not_coco_is_refused(text, tmp_path):
    file = tmp_path / "train.json"
    file.write_text(text)
    with pytest.raises(DataError) as error:
        require_trainable(read(file), ["leaf"], "segm", train=True)
    message(error)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError) as error:
        require_trainable(read(tmp_path / "train.json"), ["leaf"], "segm", train=True)
    message(error)


def test_labels_are_lines_in_utf8(tmp_path):
    file = tmp_path / "label.txt"
    file.write_bytes("\ufeffいちご\r\n\r\n  two words \ngrün\n\n".encode())
    assert read_labels(file) == ["いちご", "two words", "grün"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no class"),
        (b" \n\n", "names no class"),
        (b"leaf\nstem\nleaf\n", "'leaf' twice"),
        (b"gr\xfcn\n", "UTF-8"),
    ],
)
def test_a_bad_label_file_is_refused(content, words, tmp_path):
    file = tmp_path / "label.txt"
    file.write_bytes(content)
    with pytest.raises((DataError, FileError), match=words) as error:
        read_labels(file)
    assert "label.txt" in str(error.value)


def test_a_missing_label_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"label\.txt"):
        read_labels(tmp_path / "label.txt")
