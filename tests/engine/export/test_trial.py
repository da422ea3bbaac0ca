"""What counts as the same object in the trial of an exported file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvtk.engine.export.trial import iou_in
from cvtk.io import encode_mask
from cvtk.results import Result


def result(*boxes, masks=None, score=0.5):
    """Objects of one class in an image of 20 x 10 pixels."""
    return Result(
        path=Path("a.png"),
        height=10,
        width=20,
        classes=("apple",),
        category_ids=(1,),
        labels=np.zeros(len(boxes), dtype=int),
        scores=np.full(len(boxes), score),
        bboxes=np.array(boxes, dtype=float),
        masks=masks,
    )


def test_the_best_box_counts():
    one = result((0, 0, 10, 10))
    assert iou_in(one, 0, result((10, 0, 10, 10), (0, 0, 10, 5))) == 0.5
    assert iou_in(one, 0, one[:0]) == 0


def test_only_objects_of_about_the_same_score():
    assert iou_in(result((0, 0, 9, 9)), 0, result((0, 0, 9, 9), score=0.52)) == 0


def test_masks_and_boxes_must_be_the_same():
    """A network that has learned little may give masks of the whole image, whatever the object."""
    everything = [encode_mask(np.ones((10, 20), dtype=bool))]
    left = [encode_mask(np.arange(20) < np.full((10, 1), 10))]
    one = result((0, 0, 10, 10), masks=everything)
    assert iou_in(one, 0, one) == 1
    assert iou_in(one, 0, result((5, 0, 10, 10), masks=everything)) == pytest.approx(
        1 / 3
    )
    assert iou_in(one, 0, result((0, 0, 10, 10), masks=left)) == 0.5
