"""Masks that are enlarged a few at a time are those that MMDetection enlarges all at once, and need far less memory."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import mmdet
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils._python_dispatch import TorchDispatchMode

from cvtk.engine.lean_masks import MASKS_AT_ONCE, _limit_of, _pack, use_lean_masks
from cvtk.io import encode_mask

SIZE = (96, 128)  # of the network's input
SEEN = (90, 126)  # without padding
IMAGE = (700, 980)  # of the image, which it was scaled from
FEW = {"score_thr": 0.0, "filter_thr": 0.0, "max_per_img": 30, "max_per_image": 30}


def network(name):
    """An untrained network that reports many objects."""
    init_default_scope("mmdet")
    (file,) = (Path(mmdet.__file__).parent / ".mim" / "configs").rglob(f"{name}.py")
    model = Config.fromfile(file).model
    model.backbone.init_cfg = None
    model.test_cfg.get("rcnn", model.test_cfg).update(FEW)
    if "rpn" in model.test_cfg:
        model.test_cfg.rpn.max_per_img = 50
    if "solo" in name:
        model.mask_head.update(num_classes=2, num_grids=[12, 10, 8, 6, 4])
    torch.manual_seed(0)
    return MODELS.build(model).eval()


def predicted(model):
    """What it finds in one random image, at the size of the image."""
    torch.manual_seed(1)
    scale = (SEEN[1] / IMAGE[1], SEEN[0] / IMAGE[0])
    sample = DetDataSample(
        metainfo={
            "img_shape": SEEN,
            "ori_shape": IMAGE,
            "pad_shape": SIZE,
            "batch_input_shape": SIZE,
            "scale_factor": scale,
        }
    )
    with torch.inference_mode():
        (found,) = model.predict(torch.randn(1, 3, *SIZE), [sample])
    return found.pred_instances


class MostAtOnce(TorchDispatchMode):
    """Counts the masks of the image's size, or more, in the tensor that holds the most of them."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.ndim > 2:
            *others, height, width = made.shape
            if height >= IMAGE[0] and width >= IMAGE[1]:
                self.count = max(self.count, math.prod(others))
        return made


@pytest.mark.parametrize(
    "name",
    [
        "rtmdet-ins_tiny_8xb32-300e_coco",
        "mask-rcnn_r50_fpn_1x_coco",
        "cascade-mask-rcnn_r50_fpn_1x_coco",
        "point-rend_r50-caffe_fpn_ms-1x_coco",
        "yolact_r50_1xb8-55e_coco",
        "condinst_r50_fpn_ms-poly-90k_coco_instance",
        "solo_r50_fpn_1x_coco",
        "solov2_r50_fpn_1x_coco",
        "mask2former_r50_8xb2-lsj-50e_coco",
    ],
)
def test_the_masks_are_the_same_and_few_at_a_time(name):
    model = network(name)
    with MostAtOnce() as before:
        dense = predicted(model)
    use_lean_masks(model)
    with MostAtOnce() as after:
        lean = predicted(model)
    masks = dense.masks.numpy()
    assert len(masks) > MASKS_AT_ONCE, "or there is but one group"
    assert masks.any()
    assert lean.masks == [encode_mask(mask) for mask in masks]
    np.testing.assert_array_equal(lean.bboxes, dense.bboxes)
    np.testing.assert_array_equal(lean.scores, dense.scores)
    np.testing.assert_array_equal(lean.labels, dense.labels)
    assert before.count >= len(masks)
    assert after.count <= MASKS_AT_ONCE


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_the_limit_of_logits_is_where_the_sigmoid_passes_the_threshold(threshold):
    """A logit of 1e-8 is above 0, but its sigmoid is 0.5."""
    limit = torch.tensor(_limit_of(threshold))
    above = torch.nextafter(limit, torch.tensor(20.0))
    assert limit.sigmoid() <= threshold < above.sigmoid()
    assert limit.item() == pytest.approx(np.log(threshold / (1 - threshold)), abs=1e-6)


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
        steps = list(pairwise(sizes))
        assert _pack(values, 0.0, steps, image) == encode_mask(mask)


@pytest.mark.parametrize("place", range(12))
def test_a_spot_that_falls_between_the_pixels_of_a_smaller_image_is_left_out(place):
    spot = np.full((12, 12), -1.0, np.float32)
    spot[place, place] = 5.0
    small = torch.nn.functional.interpolate(
        torch.from_numpy(spot)[None, None], (3, 3), mode="bilinear"
    )
    mask = (small > 0)[0, 0].numpy()
    assert mask.any() == (place % 4 in (1, 2))  # the two that a pixel lies between
    steps = [((12, 12), (3, 3))]
    assert _pack(spot, 0.0, steps, (3, 3)) == encode_mask(mask)


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
    class Head(FCNMaskHead):  # of another project
        def _predict_by_feat_single(self, **_):
            return "its own"

    head = Head()
    use_lean_masks(head)
    assert head._predict_by_feat_single() == "its own"
