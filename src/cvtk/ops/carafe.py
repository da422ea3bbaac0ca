"""CARAFE, content-aware reassembly of features (Wang et al. 2019, https://arxiv.org/abs/1905.02188).

Each cell of the enlarged map is a weighted sum over the k x k neighbourhood of the cell it came from:

    out[n, c, y, x] = sum over i, j of
        features[n, c, y // s + i - r, x // s + j - r] * masks[n, g k k + i k + j, y, x]

with r = (k - 1) / 2, g the group of channel c, and 0 outside the features. That is a small matrix product
for each cell: (s s x k k) by (k k x channels). Channels come last inside, so that patches are cheap to copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cvtk.ops.precision import compute_dtype


def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
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
        weights = _by_cell(mask.to(dtype), group_size, scale_factor)
        out.copy_(_enlarged(weights @ patches, out.shape, scale_factor))


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
    for i, feature in enumerate(features):
        patches = _patches(feature.to(dtype), kernel_size, group_size)
        weights = _by_cell(masks[i].to(dtype), group_size, scale_factor)
        grad = _by_cell(grad_output[i].to(dtype), group_size, scale_factor)
        grad_masks[i] = _enlarged(grad @ patches.mT, masks[i].shape, scale_factor)
        grad_input[i] = _folded(weights.mT @ grad, feature.shape, kernel_size)


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
        grad_output,
        rfeatures,
        masks,
        grad_input,
        grad_masks,
        kernel_size,
        group_size,
        scale_factor,
    )


def _patches(feature: Tensor, k: int, groups: int) -> Tensor:
    """(C, H, W) -> (G, H W, k k, C / G), the neighbourhood of each cell."""
    padded = (
        F.pad(feature, (k // 2,) * 4)
        .unflatten(0, (groups, -1))
        .permute(0, 2, 3, 1)
        .contiguous()
    )
    windows = padded.unfold(1, k, 1).unfold(2, k, 1)  # (G, H, W, C / G, k, k)
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(3, 4).flatten(1, 2)


def _folded(patches: Tensor, shape: torch.Size, k: int) -> Tensor:
    """(G, H W, k k, C / G) -> (C, H, W), the sum of all that belongs to a cell; transposes `_patches`."""
    _, height, width = shape
    split = patches.unflatten(1, (height, width)).unflatten(3, (k, k))
    total = patches.new_zeros(
        len(patches), height + k - 1, width + k - 1, patches.size(-1)
    )
    for i in range(k):
        for j in range(k):
            total[:, i : i + height, j : j + width] += split[:, :, :, i, j]
    r = k // 2
    return total[:, r : r + height, r : r + width].permute(0, 3, 1, 2).reshape(shape)


def _by_cell(enlarged: Tensor, groups: int, s: int) -> Tensor:
    """(G A, s H, s W) -> (G, H W, s s, A), what came from each cell."""
    total, height, width = enlarged.shape
    split = enlarged.reshape(groups, total // groups, height // s, s, width // s, s)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(groups, -1, s * s, total // groups)


def _enlarged(cells: Tensor, shape: torch.Size, s: int) -> Tensor:
    """(G, H W, s s, A) -> (G A, s H, s W), the inverse of `_by_cell`."""
    total, height, width = shape
    groups = cells.size(0)
    split = cells.view(groups, height // s, width // s, s, s, total // groups)
    return split.permute(0, 5, 1, 3, 2, 4).reshape(shape)
