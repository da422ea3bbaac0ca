"""The image size, in every step of the pipelines that has one."""

from __future__ import annotations

import pytest
from configurations import MASK_RCNN, RTMDET, original

from cvtk.errors import OptionError
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.sizes import SIZE_KEYS, scaled_size, set_image_size


def sizes(cfg):
    """(step, size) of all steps of the pipelines that have one."""
    found = []
    parts = [
        cfg.get(k) for k in ("train_dataloader", "test_dataloader", "custom_hooks")
    ]
    for step in each_dict(parts):
        for key in SIZE_KEYS:
            if step.get(key):
                found.append((step["type"], step[key]))
    return found


def test_rtmdets_image_size_scales_all_that_has_one():
    cfg = original(RTMDET)
    before = sizes(cfg)
    set_image_size(cfg, 256)
    assert {size for _, size in before} == {(640, 640), (1280, 1280)}
    expected = {(640, 640): (256, 256), (1280, 1280): (512, 512)}
    assert sizes(cfg) == [(kind, expected[size]) for kind, size in before]
    assert {"CachedMosaic", "CachedMixUp", "RandomCrop", "Pad", "Resize"} <= {
        kind for kind, _ in before
    }


def test_mask_rcnns_image_size_is_the_shorter_side():
    cfg = original(MASK_RCNN)
    assert {size for _, size in sizes(cfg)} == {(1333, 800)}
    set_image_size(cfg, 256)
    assert {size for _, size in sizes(cfg)} == {(416, 256)}  # 1333 * 256 / 800 = 426.6


@pytest.mark.parametrize("size", [1, 31, 64, 100, 1000])
def test_all_sizes_are_multiples_of_32(size):
    for name in (RTMDET, MASK_RCNN):
        cfg = original(name)
        set_image_size(cfg, size)
        for _, value in sizes(cfg):
            assert all(side % 32 == 0 and side > 0 for side in value)


def test_a_size_keeps_its_form():
    assert scaled_size((640, 640), 0.5) == (320, 320)
    assert scaled_size([(1333, 640), (1333, 832)], 0.5) == [(672, 320), (672, 416)]
    assert scaled_size(1024, 0.25) == 256
    assert scaled_size(100, 0.01) == 32, "never nothing"
    assert scaled_size(None, 0.5) is None


def test_padding_of_whole_batches_is_scaled_too():
    resize = {"type": "Resize", "scale": (400, 200)}
    pad = {"type": "BatchFixedSizePad", "size": (400, 400)}
    cfg = {
        "model": {"data_preprocessor": {"batch_augments": [pad]}, "size": 7},
        "test_dataloader": {"dataset": {"pipeline": [resize]}},
    }
    set_image_size(cfg, 96)  # 200 * 0.48 = 96; 400 * 0.48 = 192
    assert resize["scale"] == (192, 96)
    assert pad["size"] == (192, 192)
    assert cfg["model"]["size"] == 7, "not of an image"


def test_images_that_are_taken_as_large_as_they_are():
    cfg = original("centernet_r18_8xb16-crop512-140e_coco")
    with pytest.raises(OptionError, match=r"--image_size: .* Leave it out"):
        set_image_size(cfg, 96)
