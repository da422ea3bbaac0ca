"""Crops against pycocotools' decoder, on masks of all kinds."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.errors import DataError
from cvtk.io import decode_mask, encode_mask
from cvtk.data.crops import cut_out


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 1.0])
def test_a_crop_put_back_is_the_mask(share):
    random = np.random.default_rng(0)
    for _ in range(50):
        height, width = random.integers(1, 30, 2)
        mask = random.random((height, width)) < share
        crop = cut_out(encode_mask(mask))
        if crop is None:
            assert not mask.any()
            continue
        back = np.zeros_like(mask)
        rows, columns = crop.mask.shape
        back[crop.y : crop.y + rows, crop.x : crop.x + columns] = crop.mask
        np.testing.assert_array_equal(back, mask)
        for edge in (crop.mask[0], crop.mask[-1], crop.mask[:, 0], crop.mask[:, -1]):
            assert edge.any()


def test_an_empty_mask_has_no_crop():
    assert cut_out(encode_mask(np.zeros((4, 6), bool))) is None


def test_runs_of_length_zero_change_nothing():
    """2 rows, 3 columns: 1 off, 2 on, 0 off, 1 on, 2 off."""
    counts = "".join(chr(48 + n) for n in (1, 2, 0))
    rle = {"size": [2, 3], "counts": counts + "O" + "2"}  # differences of -1 and 2
    np.testing.assert_array_equal(decode_mask(rle), [[0, 1, 0], [1, 1, 0]])
    crop = cut_out(rle)
    assert (crop.x, crop.y) == (0, 0)
    np.testing.assert_array_equal(crop.mask, [[0, 1], [1, 1]])


def test_damaged_counts_are_an_error():
    with pytest.raises(DataError, match="add up"):
        cut_out({"size": [4, 6], "counts": "5"})
