"""What an exported file says of itself, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from cvtk.errors import ModelError
from cvtk.exported.description import (
    FORMAT,
    Description,
    ImageForm,
    MaskForm,
    read_description,
)

FILE = Path("fruit.onnx")
DESCRIPTION = Description(
    format=FORMAT,
    cvtk="0.2.0",
    architecture="RTMDet with CSPNeXt",
    task="segm",
    classes=["apple", "pear"],
    category_ids=[1, 7],
    image=ImageForm((640, 640), keep_ratio=True, canvas=(640, 640), fill=(9, 8, 7)),
    masks=MaskForm("input", threshold=0.0, stride=8),
    lowest_score=0.05,
    score=0.3,
    licence="CC BY 4.0",
)


def test_it_is_read_as_it_was_written():
    assert read_description(FILE, DESCRIPTION.text()) == DESCRIPTION


def test_it_is_plain_json_for_other_programs():
    about = json.loads(DESCRIPTION.text())
    assert about["classes"] == ["apple", "pear"]
    assert about["image"]["scale"] == [640, 640]


def test_a_file_of_somebody_else():
    with pytest.raises(ModelError, match=r"fruit.onnx was not exported by cvtk"):
        read_description(FILE, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_a_damaged_description(text):
    with pytest.raises(ModelError, match=r"fruit.onnx cannot be used: "):
        read_description(FILE, text)


def test_a_file_of_a_newer_cvtk():
    newer = {"format": FORMAT + 1, "what": "nobody knows yet"}
    with pytest.raises(ModelError, match=r"needs a newer cvtk"):
        read_description(FILE, json.dumps(newer))


@pytest.mark.parametrize(
    "changes",
    [{"classes": []}, {"classes": ["a", "a"]}, {"category_ids": [1]}],
    ids=str,
)
def test_classes_that_are_not_classes(changes):
    odd = msgspec.structs.replace(DESCRIPTION, **changes)
    with pytest.raises(ModelError, match=r"not different names with an id each"):
        read_description(FILE, odd.text())
