"""The sentences that the log and the configuration hold: all of them, with numbers worked out by hand."""

from __future__ import annotations

import pytest
from configurations import MASK_RCNN, RTMDET, fitted, options, original

from cvtk.recipe.explanations import crowding_notes, explain
from cvtk.recipe.settings import apply_settings


def explained(name, images=60, rle=False, processes=1, **changes):
    """60 images are 15 steps of 4 images; 48 epochs of them."""
    chosen = options(**changes)
    more = {"processes": processes}
    cfg = fitted(name, images=images, rle=rle, more=more, **changes)
    apply_settings(cfg, chosen)
    return explain(original(name), cfg, chosen, processes)


def test_rtmdet():
    assert explained(RTMDET) == [
        "48 epochs of 15 steps: 720 steps in all.",
        # 4 images in place of 8 * 32 = 256: the root of 1 / 64 is 1 / 8
        "Learning rate 0.0005 instead of 0.004: changed with the square root of the batch,"
        " which is 4 images per step.",
        # a tenth of 720 steps; its own are 1,000
        "Warm-up over 72 steps.",
        # in its own recipe after 150 of 300 epochs
        "The learning rate falls along a cosine after epoch 24.",
        # 300 epochs of COCO are 137,421 steps: 0.0002 * 137421 / 720 = 0.0382
        "The average of the weights moves by 0.038 per step instead of 0.0002.",
        # 720 steps are fewer than 5,000
        "The augmentations of the last epochs are used from the start"
        " (in the architecture's own recipe, after epoch 280).",
    ]


def test_mask_rcnn():
    assert explained(MASK_RCNN) == [
        "48 epochs of 15 steps: 720 steps in all.",
        # 4 images in place of 8 * 2 = 16
        "Learning rate 0.005 instead of 0.02: changed in proportion to the batch,"
        " which is 4 images per step.",
        "Warm-up over 72 steps.",
        # 8 and 11 of 12 epochs
        "The learning rate falls after epochs 32 and 44.",
    ]


def test_a_long_training_of_rtmdet():
    # 400 images are 100 steps of 4; of 150 epochs that are 15,000 steps
    notes = explained(RTMDET, images=400, epoch=150)
    assert notes[0] == "150 epochs of 100 steps: 15000 steps in all."
    assert notes[2:] == [
        "Warm-up over 1000 steps.",
        "The learning rate falls along a cosine after epoch 75.",
        # 0.0002 * 137421 / 15000
        "The average of the weights moves by 0.0018 per step instead of 0.0002.",
        # 280 of 300 epochs
        "The augmentations of the last epochs are used after epoch 140 of 150"
        " (in the architecture's own recipe, after epoch 280).",
    ]


def test_a_training_of_one_step():
    first, rate, *others = explained(RTMDET, images=1, batch_size=1, epoch=1)
    assert first == "1 epoch of 1 step: 1 step in all."
    # the root of 1 / 256 is 1 / 16
    assert rate.startswith("Learning rate 0.00025 instead of 0.004")
    assert rate.endswith("the batch, which is 1 image per step.")
    assert not any("Warm-up" in note or "falls" in note for note in others)


def test_all_images_of_a_step_count():
    # 2 images * 3 batches * 4 processes = 24 images; 24 / 16 * 0.02
    notes = explained(MASK_RCNN, batch_size=2, accumulate=3, processes=4)
    assert notes[:2] == [
        "48 epochs of 8 steps: 384 steps in all.",
        "Learning rate 0.03 instead of 0.02: changed in proportion to the batch,"
        " which is 24 images per step.",
    ]


def test_a_learning_rate_that_is_asked_for():
    assert (
        explained(RTMDET, lr=0.00123456)[1] == "Learning rate 0.00123456, as asked for."
    )


def test_from_scratch():
    rtmdet, mask_rcnn = (explained(n, weights="none") for n in (RTMDET, MASK_RCNN))
    assert rtmdet[1] == (
        "Learning rate 0.001 instead of 0.004: changed with the square root of the batch,"
        " which is 4 images per step, and doubled to train from scratch."
    )
    thawed = "No layer is frozen, since none has been trained yet."
    assert thawed not in rtmdet, "RTMDet freezes none"
    assert mask_rcnn[1] == explained(MASK_RCNN)[1], "SGD is not doubled"
    assert mask_rcnn[-1] == thawed


def test_rle_and_image_size():
    assert explained(RTMDET, rle=True, image_size=256)[-3:] == [
        "Masks are loaded as bitmaps, since some of them are RLE.",
        "All sizes are scaled for images of 256 pixels.",
        "Images are predicted at 352 pixels, where the network finds more.",
    ]
    # Mask R-CNN loads all masks as bitmaps anyway.
    assert explained(MASK_RCNN, rle=True) == explained(MASK_RCNN)


def test_mosaic_of_yolox():
    # the last 15 of 300 epochs; 48 epochs are 2.4, and 10 are 0.5, but at least one
    name = "yolox_tiny_8xb8-300e_coco"
    assert "Mosaic ends 2 epochs before the end of the training." in explained(name)
    notes = explained(name, epoch=10)
    assert "Mosaic ends 1 epoch before the end of the training." in notes


def test_settings_are_explained_too():
    notes = explained(RTMDET, warmup=7, decay_epochs=[5])
    assert notes[2:4] == [
        "Warm-up over 7 steps.",
        "The learning rate falls after epoch 5.",
    ]
    assert explained(MASK_RCNN, warmup=1)[2] == "Warm-up over 1 step."
    notes = explained(MASK_RCNN, decay_epochs=[], warmup=0)
    assert len(notes) == 2, "it neither rises nor falls"


def test_a_schedule_in_steps():
    # Mask2Former's falls after 327,778 and 355,092 of 368,750 steps; here 720
    notes = explained("mask2former_r50_8xb2-lsj-50e_coco")
    assert "The learning rate falls after steps 640 and 693." in notes


TEST_CFG = {
    "max_per_img": {"max_per_img": 100},
    "rcnn.max_per_img": {"rpn": {"max_per_img": 1000}, "rcnn": {"max_per_img": 100}},
}


@pytest.mark.parametrize("key", TEST_CFG)
def test_more_objects_than_the_model_returns(key):
    cfg = {"model": {"test_cfg": TEST_CFG[key]}}
    most = {"train": ("b.png", 250), "valid": ("c.png", 100), "test": ("d.png", 101)}
    assert crowding_notes(cfg, most) == [
        "Note: 'b.png' (train) has 250 objects, but the model returns at most 100 per image."
        f" To raise that: --set model.test_cfg.{key}=500",
        "Note: 'd.png' (test) has 101 objects, but the model returns at most 100 per image."
        f" To raise that: --set model.test_cfg.{key}=202",
    ]


def test_a_model_without_a_limit_and_a_set_without_images():
    most = {"train": ("b.png", 250)}
    assert crowding_notes({"model": {}}, most) == []
    assert crowding_notes({"model": {"test_cfg": None}}, most) == []
    assert crowding_notes({"model": {"test_cfg": TEST_CFG["max_per_img"]}}, {}) == []
