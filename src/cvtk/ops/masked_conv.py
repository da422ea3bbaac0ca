"""Convolution at selected positions: gather the patches, scatter the results."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Copies the patch at each selected position into a column.

    Args:
        im: (1, C, H, W).
        mask_h_idx: (M,) int64 rows of the positions in the output of a convolution with stride 1.
        mask_w_idx: (M,) int64 columns.
        col: (C * kernel_h * kernel_w, M), receives the patches, 0 outside the image.
        kernel_h: Height of a patch.
        kernel_w: Width of a patch.
        pad_h: Rows of zeros above and below.
        pad_w: Columns of zeros left and right.
    """
    padded = F.pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    rows = mask_h_idx + torch.arange(kernel_h, device=im.device)[:, None, None]
    columns = mask_w_idx + torch.arange(kernel_w, device=im.device)[:, None]
    col.copy_(padded[:, rows, columns].reshape(col.shape))


def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Writes each column to its position; other positions keep what they hold.

    Args:
        col: (C, M) values.
        mask_h_idx: (M,) int64 rows.
        mask_w_idx: (M,) int64 columns.
        im: (1, C, H, W), receives the values.
        height: H, as in `im`.
        width: W, as in `im`.
        channels: C, as in `im`.
    """
    im.view(channels, height, width)[:, mask_h_idx, mask_w_idx] = col
