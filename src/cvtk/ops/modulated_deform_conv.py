"""Modulated deformable convolution, version 2: a factor for each sample.

Zhu et al. 2018, https://arxiv.org/abs/1811.11168. The buffers that mmcv hands over have no use here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cvtk.ops import deform_kernel


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
    offset, mask = (_fitted(t.contiguous(), output) for t in (offset, mask))
    output.copy_(
        deform_kernel.forward(
            input, weight, offset, mask, bias if with_bias else None, geometry
        )
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
    """Gradients by the input, the offsets, the masks and all parameters.

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
    offset, mask = (_fitted(t.contiguous(), grad_output) for t in (offset, mask))
    grads = deform_kernel.backward(
        grad_output, input, weight, offset, mask, bias if with_bias else None, geometry
    )
    targets = (grad_input, grad_weight, grad_offset, grad_mask)
    for target, grad in zip(targets, grads[:4], strict=True):
        target.copy_(_spread(grad, target))
    if with_bias:
        grad_bias.copy_(grads[4])


def _fitted(tensor: Tensor, output: Tensor) -> Tensor:
    """Offsets or masks of another size than the output, as mmcv takes them: the first numbers, in order.

    DyHead (Dai et al. 2021, https://arxiv.org/abs/2106.08322) uses the offsets of one level for the next,
    smaller one, and its published weights were trained with what mmcv's kernels make of that.

    Args:
        tensor: (N, C, h, w), contiguous.
        output: (N, C_out, H_out, W_out).

    Returns:
        A view of (N, C, H_out, W_out).

    Raises:
        ValueError: If there are too few numbers.
    """
    channels, size = tensor.size(1), output.shape[2:]
    if tensor.shape[2:] == size:
        return tensor
    wanted = channels * size.numel()
    flat = tensor.view(len(tensor), -1)
    if flat.size(1) < wanted:
        raise ValueError(
            f"offset or mask of {tuple(tensor.shape[2:])} for an output of {tuple(size)}"
        )
    return flat[:, :wanted].unflatten(1, (channels, *size))


def _spread(grad: Tensor, target: Tensor) -> Tensor:
    """A gradient (N, ...) as large as what `_fitted` took the first numbers of; that of the others is 0."""
    if grad.shape == target.shape:
        return grad
    flat = grad.flatten(1)
    rest = target[0].numel() - flat.size(1)
    return F.pad(flat, (0, rest)).view(target.shape)
