"""Photographs reach the network as they are displayed: eight orientations, four formats."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

import tifffile
from mmcv.transforms import Compose, LoadImageFromFile

from cvtk.data.images import read_image
from cvtk.data.reading import Reading
from cvtk.data.sources import ImageSource
from cvtk.engine.images import Reader, ReadImage, read_as_displayed
from cvtk.recipe.nodes import each_dict

# How to store a picture so that each EXIF orientation shows it upright again (EXIF 2.32, tag 0x0112).
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def upright():
    """A picture with four corners of different colours, 48 x 32 pixels."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24] = (220, 30, 30)
    pixels[:16, 24:] = (30, 220, 30)
    pixels[16:, :24] = (30, 30, 220)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_is_turned(suffix, orientation, upright, tmp_path):
    turn = STORED[orientation]
    stored = upright.transpose(turn) if turn is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"lossless": True} if suffix == "webp" else {}
    stored.save(tmp_path / f"a.{suffix}", exif=exif, **quality)
    results = ReadImage().transform({"img_path": str(tmp_path / f"a.{suffix}")})
    assert results["img_shape"] == results["ori_shape"] == (32, 48)
    difference = results["img"][..., ::-1].astype(int) - np.asarray(upright)
    # JPEG blurs the borders between the corners; what counts is the middle of each.
    for rows in (slice(4, 12), slice(20, 28)):
        for columns in (slice(6, 18), slice(30, 42)):
            assert np.abs(difference[rows, columns]).max() < 30


def test_it_takes_the_place_of_mmdetections_step_wherever_that_is():
    cfg = {
        "pipeline": [{"type": "LoadImageFromFile", "to_float32": True}],
        "hook": {"switch_pipeline": [{"type": "mmcv.LoadImageFromFile"}]},
        "other": [{"type": "Resize", "scale": (4, 4)}],
    }
    read_as_displayed(cfg)
    assert cfg["pipeline"][0] == {"type": ReadImage, "to_float32": True}
    assert cfg["hook"]["switch_pipeline"][0]["type"] is ReadImage
    assert cfg["other"] == [{"type": "Resize", "scale": (4, 4)}]


def test_it_builds_in_a_pipeline(upright, tmp_path):
    upright.save(tmp_path / "a.webp", lossless=True)
    pipeline = Compose([{"type": ReadImage, "to_float32": True}])
    image = pipeline({"img_path": str(tmp_path / "a.webp")})["img"]
    assert image.dtype == np.float32 and image.shape == (32, 48, 3)


def test_what_was_decoded_is_kept_up_to_a_limit(upright, tmp_path):
    first, second = (str(tmp_path / f"{name}.jpg") for name in "ab")
    for path in (first, second):
        upright.save(path)
    size = 32 * 48 * 3
    read = ReadImage(keep=size + 1).transform
    images = [read({"img_path": path})["img"] for path in (first, second)]
    images[0][:] = 0  # as a later step may
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    again = read({"img_path": first})
    assert np.array_equal(again["img"], images[1])  # the same picture
    assert again["img_shape"] == again["ori_shape"] == (32, 48)
    again["img"][:] = 0
    assert np.array_equal(read({"img_path": first})["img"], images[1])
    with pytest.raises(FileNotFoundError):  # there was no room for a second one
        read({"img_path": second})


@pytest.mark.parametrize("intensity", ["depth", "range", "percentiles"])
@pytest.mark.parametrize("kind", ["png", "tif", "float tif"])
def test_more_than_8_bits_are_scaled_by_the_rule(kind, intensity, tmp_path):
    values = np.linspace(400, 2400, 1200).astype(np.uint16).reshape(30, 40)
    if kind == "float tif":
        values = values / np.float32(4095)
    file = tmp_path / f"a.{kind[-3:]}"
    Image.fromarray(values).save(file)
    step = {"type": "LoadImageFromFile"}
    read_as_displayed([step], Reading(intensity))
    seen = Compose([step])({"img_path": str(file)})["img"]
    np.testing.assert_array_equal(seen[..., ::-1], read_image(file, Reading(intensity)))
    if intensity != "depth" or kind == "float tif":
        assert seen.max() - seen.min() > 240, "nothing is black that is not"


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_by_depth_16_bits_are_read_as_opencv_reads_them(kind, tmp_path):
    values = np.linspace(0, 65535, 1200).astype(np.uint16).reshape(30, 40)
    Image.fromarray(values).save(tmp_path / f"a.{kind}")
    read = LoadImageFromFile()({"img_path": str(tmp_path / f"a.{kind}")})["img"]
    np.testing.assert_array_equal(read, read_image(tmp_path / f"a.{kind}"))


def test_the_rule_of_the_training_is_that_of_the_inference(tmp_path):
    values = np.linspace(400, 2400, 1200).astype(np.uint16).reshape(30, 40)
    Image.fromarray(values).save(tmp_path / "a.png")
    source = ImageSource(tmp_path / "a.png", "a.png", 1)
    pipeline = [{"type": "LoadImageFromFile"}]
    dark, bright = (
        Reader(pipeline, Reading(intensity)).load(source)
        for intensity in ("depth", "range")
    )
    assert dark.max() < 10 and bright.max() == 255


def test_the_channels_of_the_training_reach_all_that_reads(built, tmp_path):
    five = np.random.default_rng(0).integers(0, 2**16, (5, 30, 40)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", five, photometric="minisblack", planarconfig="separate"
    )
    expected = np.moveaxis(five[[1, 0, 2]] >> 8, 0, 2)  # blue, green and red
    cfg = built(channels="3,1,2")
    reading = Reading.noted_in(cfg)
    pipeline = cfg.test_dataloader.dataset.pipeline[:1]
    source = ImageSource(tmp_path / "a.tif", "a.tif", 1)
    np.testing.assert_array_equal(Reader(pipeline, reading).load(source), expected)
    read_as_displayed(cfg._cfg_dict, reading)
    for part in ("train_dataloader", "val_dataloader"):
        [step] = [s for s in each_dict(cfg[part]) if s.get("type") is ReadImage]
        own = {key: value for key, value in step.items() if key != "type"}
        seen = ReadImage(**own).transform({"img_path": source.path})
        np.testing.assert_array_equal(seen["img"], expected)
