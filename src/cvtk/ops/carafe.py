"""CARAFE, content-aware reassembly of features (Wang et al. 2019, https://arxiv.org/abs/1905.02188).

Each cell of the enlarged map is a weighted sum over the k x k neighbourhood of the cell it came from:

    out[n, c, y, x] = sum over i, j of
        features[n, c, y // s + i - r, x // s + j - r] * masks[n, g k k + i k + j, y, x]

with r = (k - 1) / 2, g the group of channel c, and 0 outside the features. That is a small matrix product
for each cell: (channels x k k) by (k k x s s).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cvtk.ops.precision import compute_dtype


def carafe_naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """Enlarges features by reassembly.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * k * k, s H, s W), the weights.
        output: (N, C, s H, s W), receives the result.
        kernel_size: k, odd.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    dtype = compute_dtype(features, masks)
    for feature, mask, out in zip(features, masks, output, strict=True):
        patches = _patches(feature.to(dtype), kernel_size, group_size)
        weights = _weights(mask.to(dtype), kernel_size, group_size, scale_factor)
        out.copy_(_enlarged(patches @ weights, out.shape, scale_factor))


def carafe_naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Gradients by features and weights.

    Args:
        grad_output: (N, C, s H, s W).
        features: (N, C, H, W).
        masks: (N, group_size * k * k, s H, s W).
        grad_input: Receives the gradient, shape of `features`.
        grad_masks: Receives the gradient, shape of `masks`.
        kernel_size: As in the forward pass.
        group_size: As in the forward pass.
        scale_factor: As in the forward pass.
    """
    dtype = compute_dtype(features, masks, grad_output)
    k, s = kernel_size, scale_factor
    channels, height, width = features.shape[1:]
    for i in range(len(features)):
        patches = _patches(features[i].to(dtype), k, group_size)
        weights = _weights(masks[i].to(dtype), k, group_size, s)
        grad = _by_cell(grad_output[i].to(dtype), group_size, s)
        grad_masks[i] = _enlarged(patches.mT @ grad, masks[i].shape, s)
        # (G, H W, C / G, k k) -> (C k k, H W), the order of fold's columns
        columns = (grad @ weights.mT).permute(0, 2, 3, 1).reshape(channels * k * k, height * width)
        grad_input[i] = F.fold(columns, (height, width), k, padding=k // 2)


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """The same as `carafe_naive_forward`; mmcv's kernel differs in memory layout.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * k * k, s H, s W).
        rfeatures: Shape of `features`, receives what the backward pass gets in their place.
        routput: Buffer.
        rmasks: Buffer.
        output: (N, C, s H, s W), receives the result.
        kernel_size: k, odd.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """The same as `carafe_naive_backward`.

    Args:
        grad_output: (N, C, s H, s W).
        rfeatures: What `carafe_forward` left.
        masks: (N, group_size * k * k, s H, s W).
        rgrad_output: Buffer.
        rgrad_input_hs: Buffer.
        rgrad_input: Buffer.
        rgrad_masks: Buffer.
        grad_input: Receives the gradient, shape of the features.
        grad_masks: Receives the gradient, shape of `masks`.
        kernel_size: As in the forward pass.
        group_size: As in the forward pass.
        scale_factor: As in the forward pass.
    """
    carafe_naive_backward(
        grad_output, rfeatures, masks, grad_input, grad_masks, kernel_size, group_size, scale_factor
    )


def _patches(feature: Tensor, k: int, groups: int) -> Tensor:
    """(C, H, W) -> (G, H W, C / G, k k), the neighbourhood of each cell."""
    columns = F.unfold(feature[None], k, padding=k // 2)
    return columns.view(groups, feature.size(0) // groups, k * k, -1).permute(0, 3, 1, 2)


def _by_cell(enlarged: Tensor, groups: int, s: int) -> Tensor:
    """(G A, s H, s W) -> (G, H W, A, s s), what came from each cell."""
    total, height, width = enlarged.shape
    split = enlarged.view(groups, total // groups, height // s, s, width // s, s)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(groups, -1, total // groups, s * s)


def _weights(mask: Tensor, k: int, groups: int, s: int) -> Tensor:
    """(G k k, s H, s W) -> (G, H W, k k, s s)."""
    assert mask.size(0) == groups * k * k
    return _by_cell(mask, groups, s)


def _enlarged(cells: Tensor, shape: torch.Size, s: int) -> Tensor:
    """(G, H W, A, s s) -> (G A, s H, s W), the inverse of `_by_cell`."""
    total, height, width = shape
    groups = cells.size(0)
    split = cells.view(groups, height // s, width // s, total // groups, s, s)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(shape)
