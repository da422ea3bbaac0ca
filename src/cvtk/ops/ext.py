"""The module that `mmcv.ops` sees as `mmcv._ext`: each operator by the name under which mmcv asks for it.

It runs as `mmcv._ext`, hence the absolute imports. Names and arguments are those of mmcv's Python wrappers
(`mmcv/ops/*.py`): results go into tensors that the wrapper has allocated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from cvtk.errors import InstallError

try:
    import torchvision as _torchvision  # registers the kernels under torch.ops.torchvision
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"mmcv.ops needs {error.name}, which is not installed: mmcv has no compiled operators here, and"
        " those of cvtk use torchvision's. Install the torchvision that belongs to your torch:"
        " pip install torchvision",
        name=error.name,
    ) from error
except (ImportError, RuntimeError) as error:
    raise ImportError(
        f"mmcv.ops needs torchvision, which is installed but does not work ({error}). torch and torchvision"
        " must belong together: pip install --upgrade torch torchvision"
    ) from error

from cvtk.ops.attention import ms_deform_attn_backward, ms_deform_attn_forward
from cvtk.ops.boxes import bbox_overlaps
from cvtk.ops.carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
from cvtk.ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
)
from cvtk.ops.losses import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from cvtk.ops.masked_conv import masked_col2im_forward, masked_im2col_forward
from cvtk.ops.modulated_deform_conv import (
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from cvtk.ops.nms import nms, nms_match, softnms
from cvtk.ops.roi import (
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)
from cvtk.ops.sync_bn import (
    sync_bn_backward_data,
    sync_bn_backward_param,
    sync_bn_forward_mean,
    sync_bn_forward_output,
    sync_bn_forward_var,
)

__all__ = [
    "bbox_overlaps",
    "carafe_backward",
    "carafe_forward",
    "carafe_naive_backward",
    "carafe_naive_forward",
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "get_compiler_version",
    "get_compiling_cuda_version",
    "masked_col2im_forward",
    "masked_im2col_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
    "ms_deform_attn_backward",
    "ms_deform_attn_forward",
    "nms",
    "nms_match",
    "roi_align_backward",
    "roi_align_forward",
    "roi_pool_backward",
    "roi_pool_forward",
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
    "softmax_focal_loss_backward",
    "softmax_focal_loss_forward",
    "softnms",
    "sync_bn_backward_data",
    "sync_bn_backward_param",
    "sync_bn_forward_mean",
    "sync_bn_forward_output",
    "sync_bn_forward_var",
]


def get_compiler_version() -> str:
    """What stands for the compiler in mmcv's and mmdet's report of the environment."""
    return f"none (operators of cvtk on torchvision {_torchvision.__version__})"


def get_compiling_cuda_version() -> str:
    """The CUDA version of the kernels: that of PyTorch, or mmcv's words for a build without CUDA."""
    import torch

    return str(torch.version.cuda or "not available")


def __getattr__(name: str) -> Callable[..., NoReturn]:
    # mmcv asserts at import that every operator exists, so one that is missing may only fail when called.
    if name.startswith("_"):
        raise AttributeError(
            f"module 'mmcv._ext' (from cvtk) has no attribute {name!r}"
        )

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise InstallError(
            f"The operator {name!r} of mmcv.ops is not among those that cvtk provides without a compiler.",
            "Install an mmcv with compiled operators: `pip uninstall -y onedl-mmcv && mim install onedl-mmcv`"
            " takes a ready-made one where there is one for your PyTorch; `MMCV_WITH_OPS=1 pip install"
            " --no-deps --force-reinstall --no-cache-dir --no-build-isolation --no-binary onedl-mmcv"
            " onedl-mmcv` compiles it (needs a C++ compiler, and nvcc for a GPU; may take half an hour).",
        )

    missing.__name__ = missing.__qualname__ = name
    return missing
