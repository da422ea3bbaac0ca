"""Functions of MMDetection's mask heads in a form that can be traced: with any number of objects, and with none.

They stand for MMDetection's while a network is exported; see `stand_ins`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_split = Tensor.split


def parse_dynamic_params(
    self: Any, params: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """`CondInstMaskHead.parse_dynamic_params`: the layers of each object, of none too; see `convolve_each`."""
    sizes, layers = [*self.weight_nums, *self.bias_nums], len(self.weight_nums)
    parts = _split(params, sizes, 1)
    # The original leaves the number of inputs to `reshape`, which cannot know it where there is no object.
    weights = [
        part.reshape(-1, size // outputs, 1, 1)
        for part, size, outputs in zip(
            parts[:layers], self.weight_nums, self.bias_nums, strict=True
        )
    ]
    return weights, [part.reshape(-1) for part in parts[layers:]]


def convolve_each(
    self: Any, features: Tensor, weights: list[Tensor], biases: list[Tensor], _: Any
) -> Tensor:
    """`CondInstMaskHead.dynamic_conv_forward`: for each of N objects its own layers of convolution by 1 x 1.

    Args:
        self: The head.
        features: (1, N * channels, h, w).
        weights: Of each layer, (N * outputs, inputs, 1, 1).
        biases: Of each layer, (N * outputs).
        _: N, which a file would hold fast.

    Returns:
        (1, N, h, w).
    """
    height, width = features.shape[-2:]
    values = features.reshape(-1, weights[0].shape[1], height * width)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        last = number == len(weights)
        outputs = 1 if last else self.in_channels
        layer = weight.reshape(-1, outputs, weight.shape[1])
        values = torch.bmm(layer, values) + bias.reshape(-1, outputs, 1)
        values = values if last else values.relu()
    return values.reshape(1, -1, height, width)


def crop_to_boxes(
    self: Any, mask_preds: list[Tensor], batch_img_metas: Any, positive_infos: Any
) -> list[Tensor]:
    """`YOLACTProtonet.crop_mask_preds`: masks (h, w, N) of an image as (N, h, w), 0 outside their boxes."""
    [masks], [about], [objects] = mask_preds, batch_img_metas, positive_infos
    height, width = about["img_shape"][:2]
    sizes = objects.bboxes.new_tensor([width, height, width, height])
    return [self.crop_single(masks, objects.bboxes / sizes).permute(2, 0, 1)]


def add_context(self: Any, roi_feats: Tensor, glbctx_feat: Tensor, _: Any) -> Tensor:
    """`SCNetRoIHead._fuse_glbctx`: features of regions (N, C, h, w) with those of their picture (1, C, 1, 1) added.

    The original goes through the pictures that the regions are of; here there is one.
    """
    return roi_feats + glbctx_feat
