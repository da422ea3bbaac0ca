"""Sizes as displayed, cut-off files, file names, and images that look alike."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from examples import photo
from PIL import Image, ImageOps

from cvtk.data.duplicates import near_duplicates
from cvtk.data.images import (
    image_size,
    in_parallel,
    probe,
    read_image,
    resolve,
    too_thin,
)
from cvtk.errors import CvtkError, DataError, FileError


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
    assert resolve(tmp_path, ".../..a/b..jpg") == tmp_path / "..." / "..a" / "b..jpg"
    for name in (
        "../x.jpg",
        "a/../../x.jpg",
        "..\\x.jpg",
        "/etc/passwd",
        "",
        ".",
        "..",
        "./..",
        "a/..",
        "a/../..",
        "..\\..\\x.jpg",
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


# How a stored picture is turned for display, by EXIF orientation (the standard's own table).
DISPLAYED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_pixels_are_read_as_they_are_displayed(orientation, suffix, tmp_path):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :16], stored[:8, 16:] = (250, 0, 0), (0, 250, 0)
    stored[8:, :16] = (0, 0, 250)  # each quarter has a colour of its own
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    options |= {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    Image.fromarray(stored).save(file, exif=exif, **options)
    found = read_image(file)
    assert found.dtype == np.uint8
    expected = DISPLAYED[orientation](stored)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 8  # of JPEG
    assert image_size(file) == (found.shape[1], found.shape[0])


def test_deep_grey_and_transparent_images_become_eight_bits_of_rgb(tmp_path):
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = read_image(tmp_path / "deep.png")
    assert (found == (deep >> 8)[..., None]).all()
    ramp = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    found = read_image(tmp_path / "float.tiff")
    assert (found.min(), found.max(), found.shape) == (0, 255, (3, 4, 3))
    Image.new("RGBA", (4, 3), (9, 8, 7, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == (9, 8, 7)).all()


def test_the_reader_agrees_with_opencv(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="MMDetection reads with OpenCV")
    file = photo(tmp_path / "a.png", 3, (64, 48))
    assert (read_image(file) == cv2.imread(str(file))[..., ::-1]).all()
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 7), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    opened = cv2.imread(str(tmp_path / "deep.png"))
    assert (read_image(tmp_path / "deep.png") == opened).all()


@pytest.mark.parametrize("kind", ["empty", "pipe", "device", "folder", "missing"])
def test_what_is_no_image_ends_in_a_line_and_never_hangs(kind, tmp_path):
    file = tmp_path / "a.png"
    if kind == "empty":
        file.touch()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    for decode in (True, False):
        facts = probe(file, decode=decode, look=decode)
        assert facts.error == ("missing" if kind == "missing" else "unreadable")
        assert facts.detail
    with pytest.raises(CvtkError, match=r"a\.png") as error:
        read_image(file)
    assert "\n" not in str(error.value)


def test_an_image_that_is_a_line_is_refused(tmp_path):
    assert too_thin(4000, 3000) == ""
    assert "50000 x 1 pixels" in too_thin(50_000, 1)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16", "LA"])
def test_every_kind_of_image_is_read_as_rgb(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    Image.new(mode, (5, 4)).save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (4, 5, 3))


def test_images_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.jpg: no such file"):
        read_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(DataError, match=r"text\.jpg: "):
        read_image(tmp_path / "text.jpg")
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:900])
    with pytest.raises(DataError, match=r"cut\.png: "):
        read_image(tmp_path / "cut.png")
