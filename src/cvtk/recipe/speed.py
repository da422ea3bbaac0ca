"""What lets a training on a CPU take less time; numbers differ in their last digits at most."""

from __future__ import annotations

from typing import Any


def speed_up_cpu(runner: Any) -> None:
    """Prepares a training on a CPU; on other devices it does nothing.

    To be called right before the first step: the initial weights have been drawn, which would differ with the
    memory's layout, and a checkpoint to resume from has been loaded.
    """
    import torch

    if next(runner.model.parameters()).device.type != "cpu":
        return
    torch.set_flush_denormal(True)  # numbers next to 0 take a CPU many times as long
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return  # DistributedDataParallel mixes gradients up where the layout changes
    lay_channels_innermost(runner.model)
    for hook in runner.hooks:
        if hasattr(hook, "ema_model"):
            lay_average_out(hook.ema_model)


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
