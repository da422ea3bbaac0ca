"""What lets a training on a CPU take less time; numbers differ in their last digits at most."""

from __future__ import annotations

import functools
from typing import Any

from cvtk.recipe.cores import leave_busy_cores


def speed_up_cpu(runner: Any) -> str:
    """Prepares a training on a CPU; on other devices it does nothing.

    To be called right before the first step: the initial weights have been drawn, which would differ with the
    memory's layout, and a checkpoint to resume from has been loaded.

    Returns:
        What the user should know, a sentence or nothing.
    """
    import torch

    if next(runner.model.parameters()).device.type != "cpu":
        return ""
    torch.set_flush_denormal(True)  # numbers next to 0 take a CPU many times as long
    fuse_steps(runner.optim_wrapper.optimizer)
    multiply_kernels(runner.model)
    activate_out_of_place(runner.model)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return ""  # DistributedDataParallel mixes gradients up where the layout changes
    said = leave_busy_cores()
    lay_channels_innermost(runner.model)
    if torch.get_num_threads() == 1:
        convolve_row_by_row(runner.model)
    for hook in runner.hooks:
        if hasattr(hook, "ema_model"):
            lay_average_out(hook.ema_model)
            average_at_once(hook.ema_model)
    return said


def lay_channels_innermost(network: Any) -> None:
    """Stores the weights of convolutions as a CPU's kernels want them; feature maps follow."""
    import torch

    for part in network.modules():
        if type(part) is torch.nn.Conv2d:
            part.to(memory_format=torch.channels_last)


def lay_average_out(averaged: Any) -> None:
    """The same for MMEngine's average of a network: weights of unlike layout take longer to be averaged."""
    lay_channels_innermost(averaged.module)
    if averaged.update_buffers:  # else these are the parameters themselves
        averaged.avg_parameters = averaged.module.state_dict()


def average_at_once(averaged: Any) -> None:
    """Moves all weights of MMEngine's average of a network in one call; one by one, they take longer."""
    import torch

    usual = averaged.update_parameters

    def update(network: Any) -> None:
        moves = averaged.steps > 0 and averaged.steps % averaged.interval == 0
        if not (moves and averaged.update_buffers):
            usual(network)
            return
        share = torch.zeros(1)  # how far it moves towards the weights in this step
        averaged.avg_func(share, torch.ones(1), averaged.steps)
        weights = network.state_dict(keep_vars=True)  # without a new tensor for each
        averages = averaged.avg_parameters
        chosen = [name for name in averages if weights[name].is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_(
                [averages[name] for name in chosen],
                [weights[name] for name in chosen],
                share.item(),
            )
        averaged.steps += 1

    averaged.update_parameters = update


def fuse_steps(optimizer: Any) -> None:
    """Lets an optimizer go through each weight once per step, where this PyTorch can on a CPU (since 2.4)."""
    import torch

    weight = torch.zeros(1, requires_grad=True)
    try:
        type(optimizer)([weight], lr=0.1, fused=True)
    except (TypeError, RuntimeError):  # this optimizer cannot, or not on a CPU
        return
    for group in optimizer.param_groups:
        group["fused"] = True


def activate_out_of_place(network: Any) -> None:
    """Lets activations such as SiLU write elsewhere: in place, they copy what the gradient needs first."""
    import torch

    for part in network.modules():
        if isinstance(part, (torch.nn.SiLU, torch.nn.Hardswish, torch.nn.Mish)):
            part.inplace = False


def convolve_row_by_row(network: Any) -> None:
    """Gives oneDNN the convolutions that see one pixel, which it computes faster.

    With a single thread, PyTorch asks it only where a batch has 16 images or more. So each row becomes an image.
    """
    import torch

    for part in network.modules():
        if type(part) is not torch.nn.Conv2d or part.groups > 1:
            continue
        if {*part.kernel_size, *part.stride} == {1} and part.padding == (0, 0):
            part.forward = functools.partial(_by_rows, part)


def _by_rows(convolution: Any, images: Any) -> Any:
    """What a convolution of 1 x 1 makes of images (N, C, H, W), with their channels innermost."""
    import torch

    count, channels, height, width = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(count * height, 1, width, channels)
    found = torch.nn.functional.conv2d(
        rows.permute(0, 3, 1, 2), convolution.weight, convolution.bias
    )
    found = found.permute(0, 2, 3, 1).reshape(count, height, width, -1)
    return found.permute(0, 3, 1, 2)


def multiply_kernels(network: Any) -> None:
    """Lets RTMDet-Ins make its masks by multiplying matrices, in place of a convolution with a group per object."""
    for part in network.modules():
        if any(kind.__name__ == "RTMDetInsHead" for kind in type(part).__mro__):
            part._mask_predict_by_feat_single = functools.partial(
                masks_of_kernels, part
            )


def masks_of_kernels(head: Any, mask_feat: Any, kernels: Any, priors: Any) -> Any:
    """`RTMDetInsHead._mask_predict_by_feat_single`: the masks that kernels of objects make, or of none.

    The original convolves with as many groups as there are objects; an exported file would hold that number fast.

    Args:
        head: The `RTMDetInsHead`.
        mask_feat: (C, h, w), what all objects share.
        kernels: (N, P), the weights of the layers of each object.
        priors: (N, 4), where each was found: x, y, and the stride twice.

    Returns:
        (N, h, w) logits.
    """
    import torch

    height, width = mask_feat.shape[-2:]
    grid = head.prior_generator.single_level_grid_priors(
        (height, width), level_idx=0, device=mask_feat.device
    )
    points, strides = priors[:, None, :2], priors[:, None, 2:3]
    places = ((points - grid[None, :, :2]) / (strides * 8)).permute(0, 2, 1)
    shared = mask_feat.reshape(1, mask_feat.shape[-3], -1)
    values = torch.cat([places, shared.expand(places.shape[0], -1, -1)], 1)
    weights = kernels.split([*head.weight_nums, *head.bias_nums], 1)
    layers = len(head.weight_nums)
    for number in range(layers):
        bias = weights[layers + number][:, :, None]
        channels = head.weight_nums[number] // head.bias_nums[number]
        weight = weights[number].reshape(-1, head.bias_nums[number], channels)
        values = torch.bmm(weight, values) + bias
        if number < layers - 1:
            values = values.relu()
    return values.reshape(-1, height, width)
