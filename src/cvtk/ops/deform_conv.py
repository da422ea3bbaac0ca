"""Deformable convolution, plain and modulated: torchvision's kernels on a GPU, `deform_sample` on the CPU.

Version 1: Dai et al. 2017, https://arxiv.org/abs/1703.06211; version 2, with a factor for each sample:
Zhu et al. 2018, https://arxiv.org/abs/1811.11168.

Argument names are mmcv's: for version 1 `kW, kH, dW, dH` are the kernel and the stride, not the dilation.
The kernel's size is that of the weight. `im2col_step` and the buffers have no use here, but for one: see
`deform_conv_backward_input`.
"""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from cvtk.ops import deform_sample
from cvtk.ops.precision import compute_dtype


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
        im2col_step: Images at a time in mmcv.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    output.copy_(_forward(input, weight, offset, None, None, geometry))


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
    grads = _backward(gradOutput, input, weight, offset, None, None, geometry)
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
    if of is None or of() is not gradOutput:  # only the weight's gradient is wanted
        geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
        # The weight's gradient does not depend on its values, which mmcv does not pass.
        weight = torch.zeros_like(gradWeight)
        grad = _backward(gradOutput, input, weight, offset, None, None, geometry)[1]
    assert grad is not None
    gradWeight.add_(grad.to(gradWeight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Deformable convolution with a weight for each sample.

    Args:
        input: (N, C, H, W).
        weight: (C_out, C / group, kernel_h, kernel_w).
        bias: (C_out,), or empty.
        ones: Buffer.
        offset: (N, deformable_group * kernel_h * kernel_w * 2, H_out, W_out), y before x, in cells.
        mask: (N, deformable_group * kernel_h * kernel_w, H_out, W_out), factors of the samples.
        output: (N, C_out, H_out, W_out), receives the result.
        columns: Buffer.
        kernel_h: Kernel height.
        kernel_w: Kernel width.
        stride_h: Stride along y.
        stride_w: Stride along x.
        pad_h: Padding above and below.
        pad_w: Padding left and right.
        dilation_h: Dilation along y.
        dilation_w: Dilation along x.
        group: Groups of channels that are convolved separately.
        deformable_group: Groups of channels that have offsets of their own.
        with_bias: Whether to add the bias.
    """
    geometry = (
        stride_h,
        stride_w,
        pad_h,
        pad_w,
        dilation_h,
        dilation_w,
        group,
        deformable_group,
    )
    output.copy_(
        _forward(input, weight, offset, mask, bias if with_bias else None, geometry)
    )


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Gradients by everything that is learned.

    Args:
        input: As in the forward pass.
        weight: As in the forward pass.
        bias: As in the forward pass.
        ones: Buffer.
        offset: As in the forward pass.
        mask: As in the forward pass.
        columns: Buffer.
        grad_input: Receives the gradient, shape of `input`.
        grad_weight: Receives the gradient, shape of `weight`.
        grad_bias: Receives the gradient if `with_bias`, shape of `bias`.
        grad_offset: Receives the gradient, shape of `offset`.
        grad_mask: Receives the gradient, shape of `mask`.
        grad_output: (N, C_out, H_out, W_out).
        kernel_h: Kernel height.
        kernel_w: Kernel width.
        stride_h: Stride along y.
        stride_w: Stride along x.
        pad_h: Padding above and below.
        pad_w: Padding left and right.
        dilation_h: Dilation along y.
        dilation_w: Dilation along x.
        group: As in the forward pass.
        deformable_group: As in the forward pass.
        with_bias: Whether there is a bias.
    """
    geometry = (
        stride_h,
        stride_w,
        pad_h,
        pad_w,
        dilation_h,
        dilation_w,
        group,
        deformable_group,
    )
    grads = _backward(
        grad_output, input, weight, offset, mask, bias if with_bias else None, geometry
    )
    targets = (
        grad_input,
        grad_weight,
        grad_offset,
        grad_mask,
        *([grad_bias] if with_bias else []),
    )
    for target, grad in zip(targets, grads, strict=False):
        target.copy_(grad)


def _sampled(tensor: Tensor) -> bool:
    """Whether to compute with `cvtk.ops.deform_sample` instead of torchvision's kernels."""
    return bool(tensor.device.type == "cpu")


def _arguments(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
) -> list[Tensor]:
    """Input, weight, offset, mask and bias as torchvision wants them: of one type, none missing."""
    dtype = compute_dtype(
        *[t for t in (input, weight, offset, mask, bias) if t is not None]
    )
    mask = input.new_zeros(len(input), 1) if mask is None else mask
    bias = input.new_zeros(len(weight)) if bias is None else bias
    return [t.to(dtype).contiguous() for t in (input, weight, offset, mask, bias)]


def _forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> Tensor:
    tensors = _arguments(input, weight, offset, mask, bias)
    if _sampled(input):
        x, w, o, m, b = tensors
        return deform_sample.forward(x, w, o, None if mask is None else m, b, geometry)
    return torch.ops.torchvision.deform_conv2d(*tensors, *geometry, mask is not None)


def _backward(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, ...]:
    """Gradients by input, weight, offset, mask and bias."""
    tensors = _arguments(input, weight, offset, mask, bias)
    grad = grad.to(tensors[0].dtype).contiguous()
    if _sampled(input):
        x, w, o, m, _ = tensors
        return deform_sample.backward(
            grad, x, w, o, None if mask is None else m, geometry
        )
    grads: tuple[Tensor, ...] = torch.ops.torchvision._deform_conv2d_backward(
        grad, *tensors, *geometry, mask is not None
    )
    return grads
