"""Deformable convolution (Dai et al. 2017, https://arxiv.org/abs/1703.06211).

Argument names are mmcv's: `kW, kH, dW, dH` are the kernel and the stride, not the dilation. The kernel's size is
that of the weight. `im2col_step` and the buffers have no use here, but for one: see `deform_conv_backward_input`.
"""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from cvtk.ops import deform_kernel


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Deformable convolution.

    Args:
        input: (N, C, H, W).
        weight: (C_out, C / group, kH, kW).
        offset: (N, deformable_group * kH * kW * 2, H_out, W_out), y before x, in cells.
        output: (N, C_out, H_out, W_out), receives the result.
        columns: Buffer.
        ones: Buffer.
        kW: Kernel width.
        kH: Kernel height.
        dW: Stride along x.
        dH: Stride along y.
        padW: Padding left and right.
        padH: Padding above and below.
        dilationW: Dilation along x.
        dilationH: Dilation along y.
        group: Groups of channels that are convolved separately.
        deformable_group: Groups of channels that have offsets of their own.
        im2col_step: Images that mmcv handles at a time; unused.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    output.copy_(deform_kernel.forward(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Gradients by the input and the offsets.

    All gradients are computed at once, but mmcv asks for the weight's in a second call
    (`deform_conv_backward_parameters`): it waits at the buffer `columns`, which mmcv hands to both.

    Args:
        input: (N, C, H, W).
        offset: As in the forward pass.
        gradOutput: (N, C_out, H_out, W_out).
        gradInput: Receives the gradient, shape of `input`.
        gradOffset: Receives the gradient, shape of `offset`.
        weight: As in the forward pass.
        columns: Buffer.
        kW: Kernel width.
        kH: Kernel height.
        dW: Stride along x.
        dH: Stride along y.
        padW: Padding left and right.
        padH: Padding above and below.
        dilationW: Dilation along x.
        dilationH: Dilation along y.
        group: As in the forward pass.
        deformable_group: As in the forward pass.
        im2col_step: Unused.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    grads = deform_kernel.backward(
        gradOutput, input, weight, offset, None, None, geometry
    )
    gradInput.copy_(grads[0])
    gradOffset.copy_(grads[2])
    columns.cvtk_grad_weight = (weakref.ref(gradOutput), grads[1])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Gradient by the weight.

    Args:
        input: (N, C, H, W).
        offset: As in the forward pass.
        gradOutput: (N, C_out, H_out, W_out).
        gradWeight: Shape of the weight; the gradient times `scale` is added to it.
        columns: Buffer.
        ones: Buffer.
        kW: Kernel width.
        kH: Kernel height.
        dW: Stride along x.
        dH: Stride along y.
        padW: Padding left and right.
        padH: Padding above and below.
        dilationW: Dilation along x.
        dilationH: Dilation along y.
        group: As in the forward pass.
        deformable_group: As in the forward pass.
        scale: Factor of the gradient.
        im2col_step: Unused.
    """
    of, grad = columns.__dict__.pop("cvtk_grad_weight", (None, None))
    if grad is None or of() is not gradOutput:  # only the weight's gradient is wanted
        geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
        # The weight's gradient does not depend on its values, which mmcv does not pass.
        weight = torch.zeros_like(gradWeight)
        grad = deform_kernel.backward(
            gradOutput, input, weight, offset, None, None, geometry
        )[1]
    gradWeight.add_(grad.to(gradWeight.dtype), alpha=scale)
