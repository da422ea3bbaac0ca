"""Images of more than 8 bits: by each rule, the same from files, arrays and Pillow images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cvtk.data.images import probe, read_image
from cvtk.data.intensity import to_8_bits
from cvtk.data.pixels import to_rgb
from cvtk.data.reading import Reading
from cvtk.errors import OptionError
from cvtk.options import TrainOptions

# What a camera of 12 bits writes into 16: nothing above 4095, and one hot pixel.
TWELVE_BITS = np.linspace(400, 2400, 1200).round().astype(np.uint16).reshape(30, 40)
TWELVE_BITS[0, 1] = 4095


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ("depth", np.array([0, 255, 256, 65535], np.uint16), [0, 0, 1, 255]),
        ("depth", np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
        ("depth", np.array([-100, 0, 100], np.int32), [0, 128, 255]),
        ("range", np.array([100, 200, 300], np.uint16), [0, 128, 255]),
        ("range", np.array([0.0, np.nan, np.inf, 2.0]), [0, 0, 0, 255]),
        ("range", np.array([7, 7], np.uint16), [0, 0]),
        (
            "percentiles",
            np.arange(1001, dtype=np.uint16)[[0, 500, 1000]],
            [0, 128, 255],
        ),
    ],
)
def test_each_rule_by_hand(rule, values, expected):
    assert to_8_bits(values, rule).tolist() == pytest.approx(expected, abs=1)


def test_percentiles_do_not_mind_a_hot_pixel():
    by_range = to_8_bits(TWELVE_BITS, "range")
    by_percentiles = to_8_bits(TWELVE_BITS, "percentiles")
    assert by_range[-1, -1] < 145, "the hot pixel takes the upper half"
    assert by_percentiles[-1, -1] == by_percentiles[0, 1] == 255


@pytest.mark.parametrize("rule", ["depth", "range", "percentiles"])
@pytest.mark.parametrize("kind", ["png", "tif", "float tif"])
def test_files_arrays_and_pillow_images_are_scaled_alike(rule, kind, tmp_path):
    values = TWELVE_BITS / np.float32(4095) if kind == "float tif" else TWELVE_BITS
    file = tmp_path / f"a.{kind[-3:]}"
    Image.fromarray(values).save(file)
    expected = np.stack([to_8_bits(values, rule)] * 3, axis=2)
    np.testing.assert_array_equal(read_image(file, Reading(rule)), expected)
    np.testing.assert_array_equal(to_rgb(values, Reading(rule)), expected)
    with Image.open(file) as image:
        np.testing.assert_array_equal(to_rgb(image, Reading(rule)), expected)
    assert probe(file, decode=False).deep


def test_images_of_8_bits_stay_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(50, 90, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for rule in ("depth", "range", "percentiles"):
        np.testing.assert_array_equal(
            read_image(tmp_path / "a.png", Reading(rule)), pixels
        )
    assert not probe(tmp_path / "a.png", decode=False).deep


def test_an_unknown_rule_is_refused():
    with pytest.raises(OptionError, match="intensity cannot be 'auto'"):
        TrainOptions("a.json", output_weights="a.pth", intensity="auto")
