"""Numbers and lists in sentences."""

from __future__ import annotations

import pytest

from cvtk.words import counted, enumerated


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images")]
)
def test_counted(number, text):
    assert counted(number, "image") == text


@pytest.mark.parametrize(
    ("items", "text"),
    [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")],
)
def test_enumerated(items, text):
    assert enumerated(items, "or") == text
    assert enumerated(items) == text.replace(" or ", " and ")
