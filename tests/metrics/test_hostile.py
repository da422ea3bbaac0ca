"""Whatever stands in the files, an evaluation ends in numbers or in a sentence."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvtk.data.coco import parse
from cvtk.errors import CvtkError
from cvtk.io import encode_mask
from cvtk.metrics import evaluate

MASK = encode_mask(np.eye(20, 30))
OBJECT = {
    "image_id": 1,
    "category_id": 3,
    "bbox": [0, 0, 20, 20],
    "segmentation": MASK,
}
DOCUMENT = {
    "images": [
        {"id": 1, "file_name": "1.jpg", "width": 30, "height": 20},
        {"id": 2, "file_name": "2.jpg", "width": 30, "height": 20},
    ],
    "categories": [{"id": 3, "name": "leaf"}, {"id": 8, "name": "stem"}],
    "annotations": [
        {"id": 5, "area": 20, "iscrowd": 0, **OBJECT},
        {"id": 6, "area": 20, "iscrowd": 1, **OBJECT, "category_id": 8},
    ],
}
PREDICTIONS = [{**OBJECT, "score": 0.9}, {**OBJECT, "score": 0.9, "image_id": 2}]

SEGMENTATIONS = [
    [[]],
    [[1, 1, 5, 5]],
    [[1e300] * 6],
    {"size": [2, 2], "counts": [4]},
    {"size": [20, 30], "counts": "a"},
    {"size": [20, 30], "counts": [10]},
    {"size": [20, 30], "counts": [-600, 1200]},
    {"size": [10**6, 10**6], "counts": [10**12]},
    {"size": [20], "counts": MASK["counts"]},
]
VALUES = st.one_of(
    st.sampled_from(SEGMENTATIONS),
    st.sampled_from([None, True, "", "x" * 400, "\ud800", [], {}, [1, 2], [[1]]]),
    st.sampled_from([0, -1, 1.5, 1e300, -1e300, 2**63, 2**70]),
    st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=4),
)


@st.composite
def damages(draw):
    """A few fields of the data set or of the predictions, lost or replaced."""
    damaged = copy.deepcopy({**DOCUMENT, "predictions": PREDICTIONS})
    for _ in range(draw(st.integers(1, 3))):
        item = draw(st.sampled_from(damaged[draw(st.sampled_from(sorted(damaged)))]))
        field = draw(st.sampled_from(sorted(item) or ["id"]))
        item.pop(field, None)
        if draw(st.integers(0, 4)):
            item[field] = draw(VALUES)
    return damaged


@settings(max_examples=200, deadline=None)
@given(damaged=damages(), kind=st.sampled_from(["segm", "bbox"]))
def test_damage_ends_in_numbers_or_in_a_sentence(damaged, kind):
    predictions = damaged.pop("predictions")
    try:
        metrics = evaluate(
            parse(json.dumps(damaged).encode(), "truth.json"), predictions, kind
        )
    except CvtkError as error:
        assert str(error).strip()
    else:
        assert all(-1 <= value <= 1 for value in metrics.stats.values())


def test_what_is_damaged_is_whole_before():
    whole = parse(json.dumps(DOCUMENT).encode(), "truth.json")
    stats = evaluate(whole, PREDICTIONS, "segm").stats
    assert stats["AP@[0.50|all|1000]"] == pytest.approx(1)
