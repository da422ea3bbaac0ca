"""Sizes as displayed, cut-off files, file names, and images that look alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from examples import photo
from PIL import Image, ImageOps

from cvtk.data.images import image_size, in_parallel, near_duplicates, probe, resolve
from cvtk.errors import DataError, FileError


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_size_is_that_of_the_displayed_image(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    Image.new("RGB", (50, 20)).save(file, exif=exif)
    with Image.open(file) as image:
        shown = ImageOps.exif_transpose(image).size
    assert image_size(file) == shown
    facts = probe(file, look=True)
    assert (facts.width, facts.height, facts.error) == (*shown, "")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_cut_off_files_are_found(suffix, tmp_path):
    file = photo(tmp_path / f"a.{suffix}", size=(300, 200))
    data = file.read_bytes()
    assert probe(file).error == ""
    file.write_bytes(data[: len(data) * 2 // 3])
    assert probe(file).error == "truncated"
    file.write_bytes(b"hello")
    assert probe(file).error == "unreadable"
    file.write_bytes(b"")
    assert probe(file).error == "unreadable"
    file.unlink()
    assert probe(file).error == "missing"
    with pytest.raises(FileError, match="the image is missing"):
        image_size(file)


def test_backslashes_are_slashes_and_names_stay_inside(tmp_path):
    assert resolve(tmp_path, "a\\b.jpg") == tmp_path / "a" / "b.jpg"
    assert resolve(tmp_path, "a/../b é.jpg") == tmp_path / "b é.jpg"
    for name in (
        "../x.jpg",
        "a/../../x.jpg",
        "..\\x.jpg",
        "/etc/passwd",
        "",
        ".",
        "a\0.jpg",
    ):
        with pytest.raises(DataError, match="leads out of the data folder"):
            resolve(tmp_path, name)


def test_copies_look_alike_and_others_do_not():
    rng = np.random.default_rng(0)
    thumbs = []
    for seed in range(6):
        picture = Image.fromarray(
            np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
        )
        picture = picture.resize((400, 300), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        picture.resize((300, 225)).save(buffer, "JPEG", quality=60)
        for image in (picture, Image.open(buffer)):
            thumbs.append(
                np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX))
            )
    thumbs += [np.full((16, 17), 200, np.uint8)] * 2  # flat images say nothing
    thumbs += [rng.integers(0, 255, (16, 17)).astype(np.uint8), None]
    assert near_duplicates(thumbs) == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]


def test_parallel_work_keeps_its_order_and_its_errors():
    assert list(in_parallel(lambda i: i * i, range(50))) == [i * i for i in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda i: 1 // i, [1, 0]))
    assert probe(Path("x" * 400)).error in ("missing", "unreadable")
