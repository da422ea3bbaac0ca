"""Where millimetres come from."""

from __future__ import annotations

import math

import pytest

from cvtk.errors import DataError, FileError, OptionError
from cvtk.measure.scale import Scale, ScaleObjects, read_scales, scales_of


def row(name="ruler", length=50.0, border=False):
    return {"class": name, "length_px": length, "touches_border": border}


def test_one_number_is_for_all_images():
    for given in (0.2, "0.2", "2e-1"):
        assert scales_of(given, None, None).of("a.jpg", []).mm_per_pixel == 0.2


def test_nothing_given_stays_in_pixels():
    assert scales_of(None, None, None) is None


@pytest.mark.parametrize("value", [0, -1, "nan", "inf"])
def test_a_scale_is_above_0(value):
    with pytest.raises(OptionError, match="above 0"):
        scales_of(value, None, None)


@pytest.mark.parametrize(
    "given",
    [
        {"scale_class": "ruler"},
        {"scale_length": 100},
        {"scale_class": "ruler", "scale_length": 0},
        {"scale_class": "ruler", "scale_length": 100, "mm_per_pixel": 1},
    ],
)
def test_options_that_do_not_fit(given):
    options = {"mm_per_pixel": None, "scale_class": None, "scale_length": None}
    with pytest.raises(OptionError):
        scales_of(**{**options, **given})


@pytest.mark.parametrize(
    "text",
    [
        "image,mm_per_pixel\na/1.jpg,0.25\n2.jpg,0.5\n",
        "\ufeffmm_per_pixel;camera;image\r\n0,25;x;a/1.jpg\r\n0,5;y;2.jpg\r\n",
        "image,mm_per_pixel\na/1.jpg,0.25,too,many\n2.jpg,0.5\n",
        "image\tmm_per_pixel\na/1.jpg\t0.25\n2.jpg\t0.5\n",
    ],
)
def test_a_table_as_spreadsheets_write_it(tmp_path, text):
    file = tmp_path / "scales.csv"
    file.write_text(text, encoding="utf-8")
    scales = scales_of(file, None, None)
    assert scales.of("a/1.jpg", []).mm_per_pixel == 0.25
    assert scales.of("photos/2.jpg", []).mm_per_pixel == 0.5
    assert scales.of("3.jpg", []) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'image' and no column 'mm_per_pixel'"),
        ("image,scale\na.jpg,1\n", "no column 'mm_per_pixel'"),
        ("image,mm_per_pixel\na.jpg,wide\n", "'a.jpg' is 'wide'"),
        ("image,mm_per_pixel\na.jpg,0\n", "'a.jpg' is '0'"),
        ("image,mm_per_pixel\na.jpg\n", "'a.jpg' is ''"),
        (f'image,mm_per_pixel\n"{"x" * 200_000}\n', "cannot be read as CSV"),
        ("image,mm_per_pixel\na.jpg,1\na.jpg,2\n", "two lines for 'a.jpg'"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, message):
    file = tmp_path / "scales.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_scales(file)


def test_a_table_that_is_not_there():
    with pytest.raises(FileError, match=r"no.csv: no such file"):
        scales_of("no.csv", None, None)


def test_one_scale_object_has_no_uncertainty():
    scale = ScaleObjects("ruler", 100).of("a.jpg", [row(), row("leaf", 7)])
    assert scale.mm_per_pixel == 2
    assert math.isnan(scale.uncertainty)


def test_several_scale_objects_tell_by_how_much_they_disagree():
    """100 mm in 40 and in 50 pixels: 2.5 and 2; mean 2.25, standard deviation sqrt(0.125)."""
    found = ScaleObjects("ruler", 100).of("a.jpg", [row(length=40), row(length=50)])
    assert found == Scale(2.25, pytest.approx(math.sqrt(0.125) / 2.25))


def test_scale_objects_that_do_not_count():
    """Cut by the border, or without a mask."""
    rows = [row(border=True), row(length=math.nan)]
    assert ScaleObjects("ruler", 100).of("a.jpg", rows) is None
