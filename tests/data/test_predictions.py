"""Packed predictions are those that were put in, and make the file that plain ones make."""

from __future__ import annotations

import json

import pytest

from cvtk.data.predictions import Predictions, write_results
from cvtk.errors import FileError


def prediction(number, **more):
    return {
        "id": number,
        "image_id": 7,
        "category_id": 3,
        "bbox": [0.1, 2.5, 3.0, 1 / 3],
        "segmentation": {"size": [4, 5], "counts": "04L4`0"},
        "area": 4.0,
        "iscrowd": 0,
        "score": 0.1 + number,
        **more,
    }


def test_they_are_what_was_put_in():
    plain = [prediction(1), prediction(2, image_id="苺"), prediction(3)]
    packed = Predictions()
    packed.extend(plain[:1])
    packed.extend({**item, "id": 1} for item in plain[1:])
    assert list(packed) == plain, "numbered from 1"
    assert (len(packed), packed[-1], packed[1:]) == (3, plain[2], plain[1:])
    with pytest.raises(IndexError):
        packed[3]


def test_a_detector_has_no_masks():
    plain = {k: v for k, v in prediction(1).items() if k != "segmentation"}
    packed = Predictions()
    packed.extend([plain])
    assert list(packed) == [plain]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_file_is_that_of_the_whole_list(count, tmp_path):
    plain = [prediction(number, image_id="苺") for number in range(1, count + 1)]
    packed = Predictions()
    packed.extend(plain)
    write_results(tmp_path / "a.json", packed)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert text == json.dumps(plain, ensure_ascii=False)
    with pytest.raises(FileError, match="exists already"):
        write_results(tmp_path / "a.json", packed)
