"""Focal loss (Lin et al. 2017, https://arxiv.org/abs/1708.02002), by sigmoid and by softmax.

The logarithms are those of the exact sigmoid. mmcv's kernels take log(max(1 - p, 1e-38)) instead, which
jumps to 87 where p rounds to 1, at logits beyond 17 in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """FL = -alpha (1 - p)^gamma log p for a sample's own class, -(1 - alpha) p^gamma log(1 - p) for others.

    Args:
        input: (N, C) logits x; p = sigmoid(x).
        target: (N,) class indices; C, or any index that is no class, is background.
        weight: (C,) class weights, by which all losses of a sample of that class are multiplied, or empty.
        output: (N, C), receives the losses.
        gamma: Focusing exponent, at least 0.
        alpha: Weight of the positive class, in [0, 1].
    """
    z, _, factor = _signed(input, target, alpha)
    loss = -factor * (1 - z.sigmoid()) ** gamma * F.logsigmoid(z)
    output.copy_(_weighted(loss, target, weight))


def sigmoid_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative by the logits, for a gradient of 1 at every loss.

    Args:
        input: (N, C) logits.
        target: (N,) class indices.
        weight: (C,) or empty.
        grad_input: (N, C), receives the gradient.
        gamma: As in the forward pass.
        alpha: As in the forward pass.
    """
    z, sign, factor = _signed(input, target, alpha)
    p = z.sigmoid()
    grad = -sign * factor * (1 - p) ** gamma * (1 - p - gamma * p * F.logsigmoid(z))
    grad_input.copy_(_weighted(grad, target, weight))


def softmax_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """FL = -alpha (1 - p)^gamma log p, with p the softmax probability of the sample's class.

    Args:
        input: (N, C) softmax probabilities.
        target: (N,) class indices; samples with a negative one count as 0.
        weight: (C,) class weights, or empty.
        output: (N,), receives the losses.
        gamma: Focusing exponent, at least 0.
        alpha: Weight of all losses.
    """
    p, log_p = _own_probability(input, target)
    loss = -alpha * (1 - p) ** gamma * log_p
    output.copy_(_weighted(loss.where(target >= 0, 0), target, weight))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative by the logits, for a gradient of 1 at every loss.

    Args:
        input: (N, C) softmax probabilities.
        target: (N,) class indices.
        weight: (C,) or empty.
        buff: (N,), receives p times the derivative by p.
        grad_input: (N, C), receives the gradient.
        gamma: As in the forward pass.
        alpha: As in the forward pass.
    """
    p, log_p = _own_probability(input, target)
    slope = -((1 - p) ** gamma)
    if gamma != 0:
        # The limit for p -> 1 is 0, also where gamma < 1 makes the power infinite.
        rest = (1 - p).clamp(min=torch.finfo(p.dtype).tiny)
        slope = slope + gamma * rest ** (gamma - 1) * p * log_p
    buff.copy_(_weighted((alpha * slope).where(target >= 0, 0), target, weight))
    torch.mul(input, -buff[:, None], out=grad_input)
    grad_input.scatter_add_(1, target.clamp(min=0)[:, None], buff[:, None])


def _signed(
    input: Tensor, target: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns both halves of the sigmoid loss into one formula: 1 - sigmoid(x) is sigmoid(-x).

    Returns:
        z, (N, C), the logit of being right; its sign against x; alpha or 1 - alpha.
    """
    own = target[:, None] == torch.arange(input.size(1), device=input.device)
    sign = own.to(input.dtype) * 2 - 1
    # (1 - alpha) + own * (2 alpha - 1), without a second table
    return input * sign, sign, 0.5 + sign * (alpha - 0.5)


def _own_probability(softmax: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C), (N,) -> (N,) the probability of each sample's class, and its logarithm."""
    p = softmax.gather(1, target.clamp(min=0)[:, None])[:, 0]
    return p, p.clamp(min=torch.finfo(p.dtype).tiny).log()


def _weighted(loss: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Multiplies by the class weights, if any; background has none and keeps its loss."""
    if weight.numel() == 0:
        return loss
    classes = weight.numel()
    factor = weight[target.clamp(0, classes - 1)].where(
        (target >= 0) & (target < classes), 1
    )
    return loss * (factor if loss.dim() == 1 else factor[:, None])
