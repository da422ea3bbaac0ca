"""Masks that are enlarged a few at a time are those that MMDetection enlarges all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from cvtk.engine.lean_masks import MASKS_AT_ONCE, _pack, use_lean_masks
from cvtk.io import encode_mask

SIZE = (96, 128)  # of the network's input
IMAGE = (151, 203)  # of the image, which it was scaled from


def network(name):
    """An untrained network that reports many objects."""
    init_default_scope("mmdet")
    (file,) = (Path(mmdet.__file__).parent / ".mim" / "configs").rglob(f"{name}.py")
    model = Config.fromfile(file).model
    model.backbone.init_cfg = None
    test = model.test_cfg.get("rcnn", model.test_cfg)
    test.update(score_thr=0.0, max_per_img=30)
    torch.manual_seed(0)
    return MODELS.build(model).eval()


def predicted(model):
    """What it finds in one random image, at the size of the image."""
    torch.manual_seed(1)
    scale = (SIZE[1] / IMAGE[1], SIZE[0] / IMAGE[0])
    sample = DetDataSample(
        metainfo={
            "img_shape": SIZE,
            "ori_shape": IMAGE,
            "pad_shape": SIZE,
            "batch_input_shape": SIZE,
            "scale_factor": scale,
        }
    )
    with torch.inference_mode():
        (found,) = model.predict(torch.randn(1, 3, *SIZE), [sample])
    return found.pred_instances


@pytest.mark.parametrize(
    "name",
    [
        "rtmdet-ins_tiny_8xb32-300e_coco",
        "mask-rcnn_r50_fpn_1x_coco",
        "cascade-mask-rcnn_r50_fpn_1x_coco",
        "point-rend_r50-caffe_fpn_ms-1x_coco",
    ],
)
def test_the_masks_are_the_same(name):
    model = network(name)
    dense = predicted(model)
    use_lean_masks(model)
    lean = predicted(model)
    assert len(dense) > MASKS_AT_ONCE, "or there is but one group"
    assert lean.masks == [encode_mask(mask.numpy()) for mask in dense.masks]
    assert any(mask.any() for mask in dense.masks)
    np.testing.assert_array_equal(lean.bboxes, dense.bboxes)
    np.testing.assert_array_equal(lean.scores, dense.scores)


@pytest.mark.parametrize("seed", range(6))
def test_a_mask_that_is_enlarged_where_it_is_equals_one_enlarged_as_a_whole(seed):
    random = np.random.default_rng(seed)
    small = torch.from_numpy(random.normal(-1, 2, (1, 5, 12, 20)).astype(np.float32))
    small[:, :, :, 9:] -= 3  # some blots, and islands of a pixel
    small[0, 4] = -1  # an empty one
    sizes = [(12, 20), (96, 160), [(151, 203), (301, 517), (40, 60)][seed % 3]]
    image = (sizes[2][0] - 2, sizes[2][1] - 3)
    large = small
    for size in sizes[1:]:
        large = torch.nn.functional.interpolate(large, size=size, mode="bilinear")
    dense = (large.sigmoid() > 0.5)[0, :, : image[0], : image[1]].numpy()
    for values, mask in zip(small[0].numpy(), dense, strict=True):
        assert _pack(values, 0.0, sizes, image) == encode_mask(mask)


@pytest.mark.parametrize("place", range(12))
def test_a_spot_that_falls_between_the_pixels_of_a_smaller_image_is_left_out(place):
    spot = np.full((12, 12), -1.0, np.float32)
    spot[place, place] = 5.0
    small = torch.nn.functional.interpolate(
        torch.from_numpy(spot)[None, None], (3, 3), mode="bilinear"
    )
    mask = (small > 0)[0, 0].numpy()
    assert mask.any() == (place % 4 in (1, 2))  # the two that a pixel lies between
    assert _pack(spot, 0.0, [(12, 12), (3, 3)], (3, 3)) == encode_mask(mask)


@pytest.mark.parametrize(
    "name", ["rtmdet-ins_tiny_8xb32-300e_coco", "mask-rcnn_r50_fpn_1x_coco"]
)
def test_an_image_in_which_nothing_is_found(name):
    model = network(name)
    model.test_cfg.get("rcnn", model.test_cfg).score_thr = 2.0
    head = model.roi_head if hasattr(model, "roi_head") else model.bbox_head
    head.test_cfg.score_thr = 2.0
    use_lean_masks(model)
    found = predicted(model)
    assert len(found) == 0 and len(found.masks) == 0


def test_other_heads_stay_as_they_are():
    model = network("solov2_r50_fpn_1x_coco")
    use_lean_masks(model)
    found = predicted(model)
    assert isinstance(found.masks, torch.Tensor)
