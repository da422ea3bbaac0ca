"""Scaling of images and masks, compared with OpenCV and PyTorch, whose results they must have."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.exported.description import ImageForm, MaskForm
from cvtk.exported.pixels import (
    fit,
    mask_of_box,
    mask_of_image,
    resized,
    scaled,
    scaled_size,
)

SIZES = [(64, 48), (33, 25), (90, 20), (200, 150), (1, 1)]


@pytest.fixture
def image():
    """99 x 73 pixels of noise."""
    return np.random.default_rng(0).integers(0, 256, (73, 99, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_are_resized_as_opencv_does(image, size):
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV")
    expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    difference = np.abs(resized(image, size).astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


def test_some_are_resized_as_mmcv_does_by_pillow(image):
    mmcv = pytest.importorskip("mmcv", reason="needs mmcv")
    picture, _ = fit(image, ImageForm((40, 30), False, resampling="pillow"))
    np.testing.assert_array_equal(
        picture, mmcv.imresize(image, (40, 30), backend="pillow")
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_scaled_as_pytorch_does(size):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    values = np.random.default_rng(0).normal(size=(28, 40)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size[::-1], mode="bilinear"
    )
    np.testing.assert_allclose(scaled(values, size), expected[0, 0], atol=1e-5)


@pytest.mark.parametrize("keep_ratio", [True, False])
@pytest.mark.parametrize("scale", [(640, 640), (1333, 800)], ids=str)
@pytest.mark.parametrize("size", [(1333, 1000), (37, 500), (640, 427)], ids=str)
def test_the_size_is_that_of_mmcv(size, scale, keep_ratio):
    mmcv = pytest.importorskip("mmcv", reason="needs mmcv")
    form = ImageForm(scale, keep_ratio)
    expected = mmcv.rescale_size(size, scale) if keep_ratio else scale
    assert scaled_size(size, form) == expected


def test_an_image_on_its_canvas(image):
    form = ImageForm((64, 64), keep_ratio=True, canvas=(64, 64), fill=(1, 2, 3))
    picture, scale = fit(image, form)
    assert picture.shape == (64, 64, 3)
    np.testing.assert_array_equal(picture[:47], resized(image, (64, 47)))
    assert (picture[47:] == (1, 2, 3)).all()
    assert scale == (64 / 99, 47 / 73)


def test_an_image_without_a_canvas(image):
    picture, _ = fit(image, ImageForm((50, 40), keep_ratio=False))
    assert picture.shape == (40, 50, 3)


def test_a_mask_of_the_input():
    """The left half of an input of 8 x 8 pixels, of which the image is the upper half, twice as large."""
    values = np.full((4, 4), -1, dtype=np.float32)
    values[:, :2] = 1
    form = MaskForm("input", threshold=0.0, stride=2)
    mask = mask_of_image(values, form, scale=(0.5, 0.5), size=(16, 8))
    assert mask.shape == (8, 16)
    assert mask[:, :8].all() and not mask[:, 8:].any()


def test_a_mask_of_the_image():
    values = np.array([[0.9, 0.1]], dtype=np.float32)
    form = MaskForm("image", threshold=0.5)
    mask = mask_of_image(values, form, scale=(1, 1), size=(10, 4))
    assert mask[:, :5].all() and not mask[:, 5:].any()


@pytest.mark.parametrize("size", [(333, 251), (40, 61), (9, 7)], ids=str)
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (20, 30, 32, 40), (63, 0, 64, 64)])
def test_only_what_is_near_the_object_is_scaled(size, box):
    """The mask is the one that scaling the whole plane gives, wherever the object is."""
    values = np.full((64, 64), -3, dtype=np.float32)
    left, top, right, bottom = box
    noise = np.random.default_rng(0).normal(size=(bottom - top, right - left))
    values[top:bottom, left:right] = noise
    part = (50.3, 61.7)
    mask = mask_of_image(
        values,
        MaskForm("input", threshold=0.0),
        scale=(part[0] / size[0], part[1] / size[1]),
        size=size,
    )
    whole = np.asarray(scaled(values, size, (0, 0, *part))) > 0
    assert (mask != whole).sum() <= 1, "but for rounding"


BOXES = {
    "inside": [10.3, 5.5, 40.2, 30.9],
    "at the corner": [0, 0, 20, 9],
    "the whole image": [0, 0, 60, 50],
    "beyond the image": [-4, 30, 70, 58],
    "smaller than a pixel": [10.2, 10.2, 10.7, 10.6],
}


@pytest.mark.parametrize("corners", BOXES.values(), ids=BOXES)
def test_a_mask_of_a_box_is_pasted_as_mmdetection_does(corners):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    heads = pytest.importorskip("mmdet.models.roi_heads.mask_heads.fcn_mask_head")
    values = np.random.default_rng(0).random((14, 14), dtype=np.float32)
    expected, _ = heads._do_paste_mask(
        torch.from_numpy(values)[None, None],
        torch.tensor([corners], dtype=torch.float32),
        *(50, 60),
        skip_empty=False,
    )
    form = MaskForm("box", threshold=0.5)
    mask = mask_of_box(values, form, np.array(corners), (60, 50))
    wrong = mask != (expected[0].numpy() > 0.5)
    assert wrong.sum() <= 1, "but for rounding"


def test_a_box_outside_the_image():
    values = np.ones((4, 4), dtype=np.float32)
    form = MaskForm("box", threshold=0.5)
    corners = np.array([70.0, 70, 80, 80])
    assert not mask_of_box(values, form, corners, (60, 50)).any()
