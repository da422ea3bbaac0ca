"""The local parts of synchronised batch normalisation; mmcv's wrapper adds up over processes in between.

Shapes: input and output (N, C, S) of any floating type; statistics (C,) in float32.
"""

from __future__ import annotations

from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Writes the mean of each channel.

    Args:
        input: (N, C, S).
        mean: (C,), receives the means.
    """
    mean.copy_(input.to(mean.dtype).mean(dim=(0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Writes the mean squared deviation of each channel from the given mean.

    Args:
        input: (N, C, S).
        mean: (C,), that of all processes.
        var: (C,), receives the variances, not corrected for bias.
    """
    var.copy_((input.to(var.dtype) - mean[:, None]).square().mean(dim=(0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: float | Tensor,
    group_size: int,
) -> None:
    """Normalises, scales and shifts; updates the running statistics.

    Args:
        input: (N, C, S).
        mean: (C,) of all processes.
        var: (C,) of all processes, not corrected for bias.
        weight: (C,) scale, or None for 1.
        bias: (C,) shift, or None for 0.
        running_mean: (C,), updated in place, or None.
        running_var: (C,), updated in place with the unbiased variance, or None.
        norm: (N, C, S), receives the normalised input.
        std: (C,), receives sqrt(var + eps).
        output: (N, C, S), receives norm * weight + bias.
        eps: Added to the variance.
        momentum: Share of the batch in the new running statistics, in [0, 1]; mmcv passes a tensor.
        group_size: Number of processes, each with a batch of this size.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((input.to(norm.dtype) - mean[:, None]) / std[:, None])
    output.copy_(
        norm
        if weight is None or bias is None
        else norm * weight[:, None] + bias[:, None]
    )
    if running_mean is None or running_var is None:
        return
    count = input.size(0) * input.size(2) * group_size
    unbiased = var * (count / (count - 1)) if count > 1 else var
    running_mean.copy_(momentum * mean + (1 - momentum) * running_mean)
    running_var.copy_(momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Gradients of scale and shift.

    Args:
        grad_output: (N, C, S).
        norm: (N, C, S) from the forward pass.
        grad_weight: (C,), receives the gradient of the scale.
        grad_bias: (C,), receives the gradient of the shift.
    """
    grad = grad_output.to(norm.dtype)
    grad_weight.copy_((grad * norm).sum(dim=(0, 2)))
    grad_bias.copy_(grad.sum(dim=(0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Gradient of the input (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, section 3).

    Args:
        grad_output: (N, C, S).
        weight: (C,) scale.
        grad_weight: (C,), mean over processes.
        grad_bias: (C,), mean over processes.
        norm: (N, C, S) from the forward pass.
        std: (C,) from the forward pass.
        grad_input: (N, C, S), receives the gradient.
    """
    count = norm.size(0) * norm.size(2)
    through_statistics = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_(
        (weight / std)[:, None] * (grad_output.to(norm.dtype) - through_statistics)
    )
