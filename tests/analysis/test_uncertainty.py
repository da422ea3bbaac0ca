"""How unsure a model is, for scores whose entropies can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.analysis.uncertainty import entropies, told_apart, uncertainty
from cvtk.io import encode_mask
from cvtk.results import Result


def result(scores, boxes=None, labels=None, masks=None):
    """Objects in an image of 100 x 100 pixels, far from each other where no boxes are given."""
    count = len(scores)
    return Result(
        path="a.jpg",
        height=100,
        width=100,
        classes=("leaf", "fruit"),
        category_ids=(1, 2),
        labels=labels or [0] * count,
        scores=scores,
        bboxes=boxes or [[20 * i, 0, 10, 10] for i in range(count)],
        masks=masks,
    )


def test_entropy_in_bits():
    bits = entropies(np.array([0, 0.1, 0.5, 0.9, 1]))
    assert bits == pytest.approx([0, 0.469, 1, 0.469, 0], abs=1e-3)


def test_it_is_the_entropy_of_the_scores_summed():
    def of(*scores):
        return uncertainty(result(scores))

    assert of(0.5) == 1.0
    assert of(0.25) == pytest.approx(0.25 * 2 + 0.75 * np.log2(4 / 3))
    assert of(0.5, 0.75, 1.0) == pytest.approx(1 + of(0.25)), "the sum"
    assert (of(), of(1.0), of(0.09)) == (0.0, pytest.approx(0, abs=1e-9), 0.0)
    assert str(of()) == "0.0"


def test_what_is_found_twice_in_one_place_counts_once():
    """The second box covers the first by 10 / 11, in another class; the third by 99 / 236, which is another object."""
    boxes = [[0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 9, 25]]
    found = told_apart(result([0.5, 0.75, 0.3], boxes, [0, 1, 0]))
    assert found.scores.tolist() == [0.75, 0.3]
    # A weaker one counts where the one that covered it does not itself.
    chain = [[0, 0, 10, 10], [3, 0, 10, 10], [6, 0, 10, 10]]
    found = told_apart(result([0.9, 0.8, 0.7], chain))
    assert found.scores.tolist() == [0.9, 0.7]


def test_masks_count_where_there_are_any():
    """Two triangles share a box and no pixel."""
    half = np.zeros((100, 100), np.uint8)
    half[:20, :20] = np.triu(np.ones((20, 20)), 1)
    other = np.zeros_like(half)
    other[:20, :20] = 1 - half[:20, :20]
    masks = [encode_mask(half), encode_mask(other)]
    boxes = [[0, 0, 20, 20]] * 2
    assert len(told_apart(result([0.5, 0.4], boxes, masks=masks))) == 2
    assert len(told_apart(result([0.5, 0.4], boxes))) == 1
