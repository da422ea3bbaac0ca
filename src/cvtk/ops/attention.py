"""Multi-scale deformable attention (Zhu et al. 2020, https://arxiv.org/abs/2010.04159).

mmcv calls it for tensors on a GPU; on the CPU it takes a PyTorch version of its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cvtk.ops.precision import compute_dtype


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sum of bilinear samples from feature maps of several sizes.

    Args:
        value: (N, K, M, D): cells of all levels one after the other, M heads, D channels per head.
        value_spatial_shapes: (L, 2) int64, height and width of the levels.
        value_level_start_index: (L,) int64, first cell of each level.
        sampling_locations: (N, Q, M, L, P, 2) as x, y; 0 to 1 spans a level from border to border.
        attention_weights: (N, Q, M, L, P).
        im2col_step: Images that mmcv handles at a time; unused.

    Returns:
        (N, Q, M * D).
    """
    dtype = compute_dtype(value, sampling_locations, attention_weights)
    n, _, heads, channels = value.shape
    queries = sampling_locations.size(1)
    # Heads go into the batch: (N M, Q, L, P, 2) positions, (N M, 1, Q, L P) weights.
    grid = (2 * sampling_locations.to(dtype) - 1).transpose(1, 2).flatten(0, 1)
    weights = (
        attention_weights.to(dtype).transpose(1, 2).flatten(0, 1).flatten(2)[:, None]
    )
    starts = value_level_start_index.tolist()
    samples = []
    for level, (height, width) in enumerate(value_spatial_shapes.tolist()):
        cells = value[:, starts[level] : starts[level] + height * width].to(dtype)
        feature = cells.permute(0, 2, 3, 1).reshape(n * heads, channels, height, width)
        samples.append(
            F.grid_sample(
                feature, grid[:, :, level], padding_mode="zeros", align_corners=False
            )
        )
    output = (torch.cat(samples, dim=-1) * weights).sum(-1)
    return (
        output.view(n, heads * channels, queries)
        .transpose(1, 2)
        .contiguous()
        .to(value.dtype)
    )


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients by values, positions and weights, from a second forward pass with autograd.

    Args:
        value: As in the forward pass.
        value_spatial_shapes: As in the forward pass.
        value_level_start_index: As in the forward pass.
        sampling_locations: As in the forward pass.
        attention_weights: As in the forward pass.
        grad_output: (N, Q, M * D).
        grad_value: Receives the gradient, shape of `value`.
        grad_sampling_loc: Receives the gradient, shape of `sampling_locations`.
        grad_attn_weight: Receives the gradient, shape of `attention_weights`.
        im2col_step: Unused.
    """
    with torch.enable_grad():
        inputs = [
            t.detach().requires_grad_()
            for t in (value, sampling_locations, attention_weights)
        ]
        output = ms_deform_attn_forward(
            inputs[0],
            value_spatial_shapes,
            value_level_start_index,
            inputs[1],
            inputs[2],
            im2col_step,
        )
        grads = torch.autograd.grad(output, inputs, grad_output)
    for target, grad in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True
    ):
        target.copy_(grad)
