"""The image size, in every step of the pipelines that has one."""

from __future__ import annotations

import pytest
from configurations import MASK_RCNN, RTMDET, fitted, original

from cvtk.errors import OptionError
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.sizes import SIZE_KEYS, predicted_size, scaled_size, set_image_size


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


@pytest.mark.parametrize(
    ("learned", "predicted"),
    [(128, 160), (256, 352), (480, 640), (640, 640), (960, 960)],
)
def test_rtmdet_predicts_larger_images_than_the_pieces_it_learns_from(
    learned, predicted
):
    cfg = fitted(RTMDET, image_size=learned, valid="valid.json")
    assert {size for part in crops(cfg) for size in part} == {learned}
    for split in ("val", "test"):
        assert {
            size for _, size in sizes({"test_dataloader": cfg[f"{split}_dataloader"]})
        } == {(predicted, predicted)}


def test_without_an_image_size_images_are_predicted_as_the_architecture_has_it():
    assert predicted_size(fitted(RTMDET)) == (640, 640)


def test_mask_rcnn_learns_from_whole_images_and_predicts_them_as_large():
    assert min(predicted_size(fitted(MASK_RCNN, image_size=256))) == 256


def crops(cfg):
    """The sizes of the pieces that are cut out of images to learn from."""
    parts = [cfg["train_dataloader"], cfg["custom_hooks"]]
    return [s["crop_size"] for s in each_dict(parts) if s.get("type") == "RandomCrop"]


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
