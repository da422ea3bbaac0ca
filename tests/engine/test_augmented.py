"""Test-time augmentation: what several views show becomes one, by the rule that the docs state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.data.sources import ImageSource
from cvtk.engine.augmented import _mirrored, merge_views, other_size
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.engine.tiling import Tiling
from cvtk.io import decode_mask, encode_mask
from cvtk.results import Result


def seen(*objects, masks=True):
    """What a view shows: (label, score, left, top, right, bottom) of rectangles in 20 x 10 pixels."""
    bitmaps, boxes = [], []
    for _, _, left, top, right, bottom in objects:
        bitmap = np.zeros((10, 20), bool)
        bitmap[top:bottom, left:right] = True
        bitmaps.append(encode_mask(bitmap))
        boxes.append([left, top, right - left, bottom - top])
    return Result(
        Path("a.png"),
        10,
        20,
        ("leaf", "stem"),
        (1, 2),
        [o[0] for o in objects],
        [o[1] for o in objects],
        boxes,
        bitmaps if masks else None,
    )


@pytest.mark.parametrize(
    ("predicted", "learned", "other"),
    [(256, None, 384), (640, 640, 960), (384, 256, 256), (None, None, None)],
)
def test_the_other_size_of_images(predicted, learned, other):
    resize = {"type": "Resize", "scale": (predicted, predicted)}
    crop = {"type": "RandomCrop", "crop_size": (learned, learned)}
    cfg = {
        "test_dataloader": {"pipeline": [resize] if predicted else []},
        "train_dataloader": {"pipeline": [crop] if learned else []},
    }
    assert other_size(cfg) == other


def test_pieces_that_are_enlarged_again_are_no_size_to_see_images_at():
    resize = {"type": "Resize", "scale": (1333, 800)}
    crop = {"type": "RandomCrop", "crop_size": (384, 600)}  # of DETR
    cfg = {
        "test_dataloader": {"pipeline": [resize]},
        "train_dataloader": {"pipeline": [crop]},
    }
    assert other_size(cfg) == 1200


def test_an_object_that_all_views_show_has_the_mean_score_and_the_pixels_of_the_majority():
    views = [
        seen((0, 0.9, 2, 2, 8, 8)),
        seen((0, 0.6, 2, 2, 9, 8)),
        seen((0, 0.6, 2, 2, 9, 8)),
    ]
    merged = merge_views(views)
    assert merged.scores == pytest.approx([0.7])
    # Column 8 has 1.2 of 2.1.
    expected = np.zeros((10, 20), np.uint8)
    expected[2:8, 2:9] = 1
    np.testing.assert_array_equal(decode_mask(merged.masks[0]), expected)
    assert merged.bboxes[0] == pytest.approx([2, 2, 6 + 1.2 / 2.1, 6])


def test_what_one_view_alone_shows_counts_less():
    merged = merge_views([seen((0, 0.8, 2, 2, 8, 8)), seen(), seen(), seen()])
    assert merged.scores == pytest.approx([0.2])
    assert merged.masks == seen((0, 0.8, 2, 2, 8, 8)).masks


@pytest.mark.parametrize("masks", [True, False])
def test_classes_and_neighbours_and_objects_of_one_view_are_not_mixed(masks):
    one = seen(
        (0, 0.9, 2, 2, 8, 8), (1, 0.5, 2, 2, 8, 8), (0, 0.4, 3, 2, 8, 8), masks=masks
    )
    two = seen((0, 0.7, 2, 2, 8, 8), (0, 0.6, 12, 2, 18, 8), masks=masks)
    merged = merge_views([one, two])
    assert merged.scores == pytest.approx([0.8, 0.3, 0.25, 0.2])
    assert merged.names == ["leaf", "leaf", "stem", "leaf"]
    assert (merged.masks is None) is not masks


def test_nothing_is_found_where_no_view_shows_anything():
    merged = merge_views([seen(), seen()])
    assert (len(merged), merged.masks) == (0, [])


def test_a_mirrored_result_is_that_of_the_mirrored_image():
    result = seen((0, 0.9, 2, 1, 8, 7), (1, 0.5, 0, 0, 20, 10))
    result.masks[0].update(encode_mask(np.tri(10, 20, 3)))
    turned = _mirrored(result)
    for mask, other in zip(result.masks, turned.masks, strict=True):
        np.testing.assert_array_equal(decode_mask(other), decode_mask(mask)[:, ::-1])
    assert turned.bboxes.tolist() == [[12, 1, 6, 6], [0, 0, 20, 10]]
    assert _mirrored(turned).masks == result.masks


def test_a_picture_and_its_mirror_image_give_mirrored_results(untrained):
    predictor = Predictor(open_weights(untrained), "cpu").augmented()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    for tiling in (None, Tiling(64, 0.2)):
        one, two = (
            next(
                predictor.predict(
                    [ImageSource(Path("a.png"), "a.png", 1, p)], 1, 0.0, tiling
                )
            )
            for p in (pixels, np.ascontiguousarray(pixels[:, ::-1]))
        )
        assert len(one) == len(two) > 10
        mirrored = _mirrored(two)
        np.testing.assert_allclose(one.scores, mirrored.scores, atol=1e-5)
