"""TIFF as microscopes write it, made by tifffile: which page and channels are taken, and how they are scaled."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from cvtk.data.images import probe, read_image
from cvtk.data.intensity import to_8_bits
from cvtk.data.pixels import to_rgb
from cvtk.data.reading import AS_SEEN, Reading
from cvtk.data.sources import list_images
from cvtk.errors import DataError

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 30, 40


def values(*shape, top=4096, dtype=np.uint16):
    return RANDOM.integers(0, top, (*shape, HEIGHT, WIDTH)).astype(dtype)


@pytest.mark.parametrize("layout", ["separate", "contig", "OME", "ImageJ"])
@pytest.mark.parametrize("rule", ["range", "depth"])
def test_three_of_five_channels_each_scaled_by_itself(layout, rule, tmp_path):
    five = values(5) // np.array([1, 2, 4, 8, 16], np.uint16)[:, None, None]
    file = tmp_path / ("a.ome.tif" if layout == "OME" else "a.tif")
    if layout == "contig":
        tifffile.imwrite(
            file, np.moveaxis(five, 0, 2), photometric="minisblack", planarconfig=layout
        )
    elif layout == "separate":
        tifffile.imwrite(file, five, photometric="minisblack", planarconfig=layout)
    else:
        options = {"metadata": {"axes": "CYX"}, "imagej": layout == "ImageJ"}
        tifffile.imwrite(file, five, **options)
    seen = read_image(file, Reading(rule, channels=(5, 1, 1)))
    for k, channel in enumerate((4, 0, 0)):
        np.testing.assert_array_equal(seen[..., k], to_8_bits(five[channel], rule))
    if rule == "range":
        assert (seen.max(axis=(0, 1)) == 255).all(), "the faintest is not black"
    grey = read_image(file, Reading(rule, channels=(2,)))
    assert (grey == to_8_bits(five[1], rule)[..., None]).all()


def test_channels_that_nobody_named_are_not_guessed_but_shown(tmp_path):
    five = values(5, top=256, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", five, metadata={"axes": "CYX"})
    with pytest.raises(DataError, match=r"a\.tif: it has 5 channels.*--channels 1,2,3"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"5 channels, and channel 6 is wanted"):
        read_image(tmp_path / "a.tif", Reading(channels=(6,)))
    shown = read_image(tmp_path / "a.tif", AS_SEEN)
    np.testing.assert_array_equal(shown, np.moveaxis(five[:3], 0, 2))
    facts = probe(tmp_path / "a.tif", look=True)
    assert (facts.width, facts.height, facts.deep, facts.error) == (40, 30, True, "")


@pytest.mark.parametrize("layout", ["plain", "OME", "ImageJ", "unlike"])
def test_a_page_of_a_stack(layout, tmp_path):
    stack = values(3, 2, top=256, dtype=np.uint8)  # slices, channels
    file = tmp_path / ("a.ome.tif" if layout == "OME" else "a.tif")
    if layout == "plain":
        tifffile.imwrite(file, stack[:, 0], photometric="minisblack")
    elif layout == "unlike":
        with tifffile.TiffWriter(file) as writer:
            writer.write(stack[0, 0], photometric="minisblack")
            writer.write(stack[0, 0, :9], photometric="minisblack")
            writer.write(stack[2, 0], photometric="minisblack")
    else:
        options = {"metadata": {"axes": "ZCYX"}, "imagej": layout == "ImageJ"}
        tifffile.imwrite(file, stack, **options)
    channels = () if layout in ("plain", "unlike") else (1,)
    for page in (1, 3):
        seen = read_image(file, Reading(page=page, channels=channels))
        assert (seen == stack[page - 1, 0][..., None]).all()
    with pytest.raises(DataError, match="has 3 pages, and page 4 is wanted"):
        read_image(file, Reading(page=4, channels=channels))


def test_other_formats_have_one_page_and_channels_too(tmp_path):
    pixels = values(3, top=256, dtype=np.uint8).transpose(1, 2, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    seen = read_image(tmp_path / "a.png", Reading(channels=(3, 2, 1)))
    np.testing.assert_array_equal(seen, pixels[..., ::-1])
    with pytest.raises(DataError, match="has 1 page"):
        read_image(tmp_path / "a.png", Reading(page=2))
    five = np.dstack([pixels, pixels])
    assert (to_rgb(five, Reading(channels=(4,))) == pixels[..., :1]).all()
    [source] = list_images(five, Reading(channels=(4,)))
    assert (source.pixels == pixels[..., :1]).all()
    with pytest.raises(DataError, match="is not an image"):
        list_images(five)
    with pytest.raises(DataError, match="6 channels, and channel 7"):
        list_images(five, Reading(channels=(7,)))


@pytest.mark.parametrize("kind", ["uint16 tif", "float32 tif", "uint16 png"])
def test_deep_colours_are_scaled_together(kind, tmp_path):
    dtype, suffix = kind.split()
    deep = np.moveaxis(values(3), 0, 2)
    deep[..., 2] //= 8
    deep = deep.astype(dtype)
    file = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(file, deep, photometric="rgb")
    else:
        cv2 = pytest.importorskip("cv2")
        cv2.imwrite(str(file), deep[..., ::-1])
    for rule in ("depth", "range", "percentiles"):
        seen = read_image(file, Reading(rule))
        np.testing.assert_array_equal(seen, to_8_bits(deep, rule))
    assert read_image(file, AS_SEEN)[..., 2].max() < 40, "blue stays faint"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_exif_turns_is_turned_as_pillow_turns_it(orientation, tmp_path):
    pixels = values(3, top=256, dtype=np.uint8).transpose(1, 2, 0)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", extratags=[tag], metadata=None
    )
    by_pillow = read_image(tmp_path / "a.tif")
    by_tifffile = read_image(tmp_path / "a.tif", Reading(channels=(1, 2, 3)))
    np.testing.assert_array_equal(by_tifffile, by_pillow)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_would_be_nearly_black_are_known(channels, tmp_path):
    photometric = "minisblack" if channels == 1 else "rgb"
    for top, dark in ((4096, True), (60000, False)):
        deep = values(channels, top=top).transpose(1, 2, 0).squeeze()
        tifffile.imwrite(tmp_path / "a.tif", deep, photometric=photometric)
        assert probe(tmp_path / "a.tif").dark is dark
    black = np.zeros((HEIGHT, WIDTH), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", black)
    assert not probe(tmp_path / "a.tif").dark, "no rule makes it brighter"


def test_a_packed_file_that_needs_another_package_says_so(tmp_path):
    pytest.importorskip("PIL")
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("imagecodecs is installed")
    pixels = values(3, top=256, dtype=np.uint8).transpose(1, 2, 0)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert (read_image(tmp_path / "a.tif") == pixels).all()
    with pytest.raises(DataError, match=r"pip install .cvtk\[tiff\]"):
        read_image(tmp_path / "a.tif", Reading(channels=(1,)))


def test_a_broken_tiff_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values(5), metadata={"axes": "CYX"})
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tif"):
        read_image(tmp_path / "a.tif", Reading(channels=(5,)))
