"""Crops against pycocotools' decoder, on masks of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as api

from cvtk.data.crops import CutOuts, cut_out
from cvtk.errors import DataError
from cvtk.io import decode_mask, encode_mask, encode_part


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


def test_masks_are_cut_out_as_they_are_asked_for():
    masks = np.zeros((2, 4, 6), bool)
    masks[1, 1:3, 2:5] = True
    none, one = CutOuts([encode_mask(mask) for mask in masks])
    assert none.mask.size == 0
    assert (one.x, one.y, one.mask.shape) == (2, 1, (2, 3))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_part_is_packed_as_pycocotools_packs_the_mask(share):
    random = np.random.default_rng(1)
    for _ in range(100):
        height, width = random.integers(1, 20, 2)
        top, left = random.integers(0, height), random.integers(0, width)
        mask = np.zeros((height, width), np.uint8)
        part = mask[top : random.integers(top, height) + 1, left:]
        part[...] = random.random(part.shape) < share
        packed = api.encode(np.asfortranarray(mask))["counts"].decode()
        assert encode_part(part, left, top, height, width)["counts"] == packed
        assert encode_mask(mask) == {"size": [height, width], "counts": packed}
