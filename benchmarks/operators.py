"""Times the operators behind mmcv.ops on the CPU, beside the same written plainly in PyTorch.

    python benchmarks/operators.py

Sizes are those of one training step on a small image. A row is one operator, forward and (where there is one)
backward: milliseconds (the best of several runs) of cvtk's and of the plain version, how many times faster,
and the largest difference of the results and gradients. `roi_align` is timed beside torchvision's kernel too.
Runs in about a minute.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import mmcv.ops as ops
import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmcv import _ext
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch import Tensor
from torchvision.ops import deform_conv2d, roi_align

from cvtk.ops import provider


def boxes(n: int, size: float) -> Tensor:
    corner = torch.rand(n, 2) * size * 0.8
    return torch.cat([corner, corner + 4 + torch.rand(n, 2) * size * 0.2], dim=1)


def regions(n: int) -> Tensor:
    """As Mask R-CNN takes from its finest feature map, of 10 to 160 pixels, in two images."""
    centre = torch.rand(n, 2) * torch.tensor([384.0, 288.0])
    half = torch.rand(n, 2) * 75 + 5
    image = torch.arange(n)[:, None] % 2
    return torch.cat([image, centre - half, centre + half], 1)


def iou(one: Tensor, many: Tensor) -> Tensor:
    size = (
        torch.minimum(one[2:], many[:, 2:]) - torch.maximum(one[:2], many[:, :2])
    ).clamp(min=0)
    overlap = size.prod(1)
    return overlap / (
        (one[2:] - one[:2]).prod() + (many[:, 2:] - many[:, :2]).prod(1) - overlap
    )


def plain_nms(box: Tensor, score: Tensor) -> Tensor:
    order, kept = score.argsort(descending=True), []
    while len(order):
        kept.append(order[0])
        order = order[1:][iou(box[order[0]], box[order[1:]]) <= 0.5]
    return torch.stack(kept)


def plain_soft_nms(box: Tensor, score: Tensor) -> Tensor:
    index, kept = torch.arange(len(box)), []
    while len(index):
        best = score.argmax()
        kept.append(index[best])
        others = torch.arange(len(index)) != best
        overlap = iou(box[index[best]], box[index[others]])
        index, score = (
            index[others],
            score[others] * torch.where(overlap >= 0.3, 1 - overlap, 1),
        )
        index, score = index[score >= 0.05], score[score >= 0.05]
    return torch.stack(kept)


def plain_roi_align(
    x: Tensor, rois: Tensor, bins: int, scale: float, mode: str
) -> Tensor:
    """One region at a time: bilinear samples by grid_sample, pooled."""
    pool = F.avg_pool2d if mode == "avg" else F.max_pool2d
    height, width = x.shape[2:]
    out = []
    for roi in rois:
        x1, y1, x2, y2 = (roi[1:] * scale - 0.5).tolist()
        gh, gw = -int(-(y2 - y1) // bins), -int(-(x2 - x1) // bins)
        ys = y1 + (torch.arange(bins * gh) + 0.5) * (y2 - y1) / (bins * gh)
        xs = x1 + (torch.arange(bins * gw) + 0.5) * (x2 - x1) / (bins * gw)
        grid = torch.stack(
            torch.meshgrid(
                2 * xs / (width - 1) - 1, 2 * ys / (height - 1) - 1, indexing="xy"
            ),
            -1,
        )
        image = x[int(roi[0]) : int(roi[0]) + 1]
        samples = F.grid_sample(
            image, grid[None], padding_mode="border", align_corners=True
        )
        out.append(pool(samples, (gh, gw)))
    return torch.cat(out)


def plain_roi_pool(x: Tensor, rois: Tensor, bins: int, scale: float) -> Tensor:
    """One bin at a time."""
    out = []
    for b, x1, y1, x2, y2 in rois.tolist():
        edges = []
        for low, high, limit in ((y1, y2, x.size(2)), (x1, x2, x.size(3))):
            step = (high + 1 - low) * scale / bins
            low = torch.tensor(low * scale)
            i = torch.arange(bins)
            first = (low + i * step).floor().clamp(0, limit).int().tolist()
            end = (low + (i + 1) * step).ceil().clamp(0, limit).int().tolist()
            edges.append(list(zip(first, end, strict=True)))
        cells = [
            x[int(b), :, t:d, s:e].amax((1, 2))
            for t, d in edges[0]
            for s, e in edges[1]
        ]
        out.append(torch.stack(cells, 1).view(-1, bins, bins))
    return torch.stack(out)


def plain_deform_conv(
    x: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor
) -> Tensor:
    """3 x 3, padding 1: a grid_sample a tap, and a matrix product."""
    height, width = x.shape[2:]
    rows, columns = torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing="ij"
    )
    taps = []
    for tap in range(9):
        y = rows + tap // 3 - 1 + offset[:, 2 * tap]
        z = columns + tap % 3 - 1 + offset[:, 2 * tap + 1]
        grid = torch.stack([(2 * z + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        sample = F.grid_sample(x, grid, align_corners=False)
        taps.append(sample if mask is None else sample * mask[:, tap : tap + 1])
    return torch.einsum("ock,nckhw->nohw", weight.flatten(2), torch.stack(taps, 2))


def plain_carafe(x: Tensor, masks: Tensor, k: int, s: int) -> Tensor:
    """The neighbourhoods, enlarged, times the weights."""
    n, channels, height, width = x.shape
    patches = F.unfold(x, k, padding=k // 2).view(n, channels * k * k, height, width)
    patches = F.interpolate(patches, scale_factor=s).view(
        n, channels, k * k, height * s, width * s
    )
    return (patches * masks[:, None]).sum(2)


def plain_sigmoid_focal(x: Tensor, target: Tensor) -> Tensor:
    one_hot = F.one_hot(target, x.size(1) + 1)[:, :-1].to(x)
    p = x.sigmoid()
    pt = (1 - p) * one_hot + p * (1 - one_hot)
    factor = (0.25 * one_hot + 0.75 * (1 - one_hot)) * pt**2
    return (
        F.binary_cross_entropy_with_logits(x, one_hot, reduction="none") * factor
    ).sum()


def plain_softmax_focal(x: Tensor, target: Tensor) -> Tensor:
    p = x.softmax(1).gather(1, target[:, None])[:, 0]
    return (-0.25 * (1 - p) ** 2 * p.log()).sum()


def plain_overlaps(one: Tensor, two: Tensor) -> Tensor:
    return torch.stack([iou(box, two) for box in one])


def cases() -> list[
    tuple[str, Callable[..., Tensor], Callable[..., Tensor], list[Tensor]]
]:
    """Name, cvtk's, the plain version, and the arguments; those that require gradients get them."""
    torch.manual_seed(0)

    def leaf(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape) * scale).requires_grad_()

    box, score = boxes(1000, 512.0), torch.rand(1000)
    x = leaf(2, 64, 64, 64)
    # Inside the image, so that grid_sample's border and mmcv's agree.
    rois = torch.cat([torch.randint(0, 2, (128, 1)).float(), 8 + boxes(128, 480.0)], 1)
    offset, mask, weight = (
        leaf(2, 18, 32, 32),
        torch.rand(2, 9, 32, 32).requires_grad_(),
        leaf(64, 64, 3, 3, scale=0.1),
    )
    small = leaf(2, 64, 32, 32)
    reassembly = torch.rand(2, 25, 64, 64).softmax(1).requires_grad_()
    logits, target = leaf(20000, 20), torch.randint(0, 20, (20000,))
    conv = ops.MaskedConv2d(64, 64, 3, padding=1)
    # The layer asks for a process group, be it of one.
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    norm = ops.SyncBatchNorm(64)
    places = (torch.rand(1, 64, 64) > 0.9).float()
    shapes = torch.tensor([(32, 32), (16, 16), (8, 8)])
    starts = torch.tensor([0, 1024, 1280])
    value, weights = leaf(2, 1344, 8, 32), torch.rand(2, 300, 8, 3, 4).requires_grad_()
    where = torch.rand(2, 300, 8, 3, 4, 2).requires_grad_()

    def masked(plain: bool) -> Callable[..., Tensor]:
        def run(x: Tensor) -> Tensor:
            with torch.no_grad():
                return conv(x) * places if plain else conv(x, places)

        return run

    return [
        ("nms", lambda b, s: ops.nms(b, s, 0.5)[1], plain_nms, [box, score]),
        (
            "soft_nms",
            lambda b, s: ops.soft_nms(b, s, 0.3, min_score=0.05)[1],
            plain_soft_nms,
            [box, score],
        ),
        ("bbox_overlaps", ops.bbox_overlaps, plain_overlaps, [box, box]),
        *[
            (
                f"roi_align {mode}",
                lambda x, r, mode=mode: ops.roi_align(x, r, 7, 0.125, 0, mode, True),
                lambda x, r, mode=mode: plain_roi_align(x, r, 7, 0.125, mode),
                [x, rois],
            )
            for mode in ("avg", "max")
        ],
        (
            "roi_align, torchvision",
            lambda x, r: ops.roi_align(x, r, 7, 0.25, 0, "avg", True),
            lambda x, r: roi_align(x, r, 7, 0.25, aligned=True),
            [leaf(2, 256, 72, 96), regions(600)],
        ),
        (
            "roi_pool",
            lambda x, r: ops.roi_pool(x, r, 7, 0.125),
            lambda x, r: plain_roi_pool(x, r, 7, 0.125),
            [x, rois],
        ),
        (
            "deform_conv2d",
            lambda x, o, w: ops.deform_conv2d(x, o, w, 1, 1),
            lambda x, o, w: plain_deform_conv(x, o, None, w),
            [small, offset, weight],
        ),
        (
            "modulated_deform_conv2d",
            lambda x, o, m, w: ops.modulated_deform_conv2d(x, o, m, w, None, 1, 1),
            plain_deform_conv,
            [small, offset, mask, weight],
        ),
        (
            "... beside torchvision",
            lambda x, o, m, w: ops.modulated_deform_conv2d(x, o, m, w, None, 1, 1),
            lambda x, o, m, w: deform_conv2d(x, o, w, None, 1, 1, 1, m),
            [small, offset, mask, weight],
        ),
        (
            "carafe",
            lambda x, m: ops.carafe(x, m, 5, 1, 2),
            lambda x, m: plain_carafe(x, m, 5, 2),
            [small, reassembly],
        ),
        (
            "sigmoid_focal_loss",
            lambda x, t: ops.sigmoid_focal_loss(x, t, 2.0, 0.25, None, "sum"),
            plain_sigmoid_focal,
            [logits, target],
        ),
        (
            "softmax_focal_loss",
            lambda x, t: ops.softmax_focal_loss(x, t, 2.0, 0.25, None, "sum"),
            plain_softmax_focal,
            [logits, target],
        ),
        (
            "ms_deform_attn",
            lambda v, w, a: MultiScaleDeformableAttnFunction.apply(
                v, shapes, starts, w, a, 64
            ),
            lambda v, w, a: multi_scale_deformable_attn_pytorch(v, shapes, w, a),
            [value, where, weights],
        ),
        (
            "SyncBatchNorm",
            norm,
            lambda x: F.batch_norm(
                x, None, None, norm.weight.detach(), norm.bias.detach(), training=True
            ),
            [x],
        ),
        ("masked_conv2d", masked(False), masked(True), [x[:1].detach()]),
    ]


def run(function: Callable[..., Tensor], arguments: list[Tensor]) -> list[Tensor]:
    """The result, and the gradients of its sum of squares."""
    result = function(*arguments)
    leaves = [a for a in arguments if a.requires_grad]
    if not leaves:
        return [result]
    return [result.detach(), *torch.autograd.grad(result.square().sum(), leaves)]


def milliseconds(
    function: Callable[..., Tensor], arguments: list[Tensor], seconds: float
) -> float:
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        run(function, arguments)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=1.0,
        help="time for each measurement (default 1)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of PyTorch (default 1)"
    )
    options: Any = parser.parse_args()
    warnings.filterwarnings("ignore", message="This overload of addmm")
    torch.set_num_threads(options.threads)
    print(
        f"PyTorch {torch.__version__}, {options.threads} thread(s), operators of {provider()}, {_ext.__file__}"
    )
    print(
        f"{'operator':<26}{'here, ms':>10}{'plain, ms':>11}{'times':>8}{'largest difference':>20}"
    )
    for name, ours, plain, arguments in cases():
        pairs = zip(run(ours, arguments), run(plain, arguments), strict=True)
        # Relative to the largest value.
        difference = max(
            float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs
        )
        fast, slow = (
            milliseconds(f, arguments, options.seconds) for f in (ours, plain)
        )
        print(
            f"{name:<26}{fast:>10.2f}{slow:>11.2f}{slow / fast:>8.1f}{difference:>20.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
