"""Test-time augmentation: an image is seen as it is, mirrored and at another size, and what is found becomes one.

MMDetection's own refuses masks. The rule here is that of weighted boxes fusion (Solovyev et al., 2021,
https://doi.org/10.1016/j.imavis.2021.104117), with masks: objects of one class from different views are the same if
their masks have an IoU of at least one half. A pixel belongs to the object if views with at least half of the group's
summed score say so. The score is the mean over all views, where a view that does not see the object counts as 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.data.crops import cut_out
from cvtk.data.reading import Reading
from cvtk.engine.images import Reader
from cvtk.engine.pictures import Picture
from cvtk.io import CocoRLE, encode_part
from cvtk.recipe.sizes import learned_size, predicted_size, set_image_size
from cvtk.results import Result

SAME = 0.5  # IoU from which objects of two views are one
LARGER = 1.5  # how much larger images are seen too, where they are as large as what was learned from
SHARE_OF_SCORE = 0.5  # objects of a view that are so far below the score asked for are left out before the merging

Network = Callable[[list[Picture], list[float]], list[Result]]


@dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes:
        reader: Prepares it, at one size.
        mirrored: Whether left and right are exchanged.
    """

    reader: Reader
    mirrored: bool

    def of(self, picture: Picture) -> Picture:
        """An image as it is seen so, prepared."""
        bgr = picture.bgr
        if self.mirrored:
            bgr = np.ascontiguousarray(bgr[:, ::-1])
        sample = self.reader.prepare(bgr, picture.source.path)
        return Picture(picture.source, bgr, sample)


def views_of(cfg: Any, reading: Reading) -> list[View]:
    """The views of a network with this configuration; those of its own size alone, where it knows none."""
    pipelines = [cfg.test_dataloader.dataset.pipeline]
    other = other_size(cfg)
    if other is not None:
        parts = {"test_dataloader": copy.deepcopy(cfg.test_dataloader), "model": {}}
        set_image_size(parts, other)
        pipelines.append(parts["test_dataloader"].dataset.pipeline)
    readers = [Reader(pipeline, reading) for pipeline in pipelines]
    return [View(reader, mirrored) for reader in readers for mirrored in (False, True)]


def other_size(cfg: Any) -> int | None:
    """The other size at which images are seen, in pixels; None where the network takes images as large as they are.

    That of the pieces that were learned from, where images are predicted larger than these; else a larger one.
    """
    predicted, learned = predicted_size(cfg), learned_size(cfg)
    if predicted is None:
        return None
    if learned is not None:
        # Pieces of another shape than the images, such as DETR's, are enlarged again before they are learned from.
        ratios = {p / q for p, q in zip(predicted, learned, strict=True)}
        if len(ratios) == 1 and min(ratios) > 1:
            return min(learned)
    return round(LARGER * min(predicted))


def predict_views(
    pictures: Sequence[Picture],
    views: Sequence[View],
    network: Network,
    least_scores: Sequence[float],
) -> list[Result]:
    """What is found in images, each seen in all views.

    Args:
        pictures: The images, read.
        views: How each is seen.
        network: Predicts prepared images, with at least a score for each class.
        least_scores: The lowest score to keep of each class.
    """
    found, lower = [], [SHARE_OF_SCORE * score for score in least_scores]
    for picture in pictures:
        results = []
        for view in views:
            [result] = network([view.of(picture)], lower)
            results.append(_mirrored(result) if view.mirrored else result)
        merged = merge_views(results)
        found.append(merged[merged.scores >= np.array(least_scores)[merged.labels]])
    return found


def merge_views(results: Sequence[Result]) -> Result:
    """What several views of one image show, as one result, the best first."""
    view = np.repeat(np.arange(len(results)), [len(result) for result in results])
    all_ = _together(results)
    groups: list[list[int]] = []
    group_of = np.full(len(all_), -1)
    order = np.argsort(-all_.scores, kind="stable")
    same = _ious(all_) >= SAME
    for index in order:
        if group_of[index] >= 0:
            continue
        group = [int(index)]
        # Of each other view the surest object that is like it, and that is in no group yet.
        for other in order:
            is_free = group_of[other] < 0 and view[other] not in view[group]
            if is_free and same[index, other]:
                group.append(int(other))
        group_of[group] = len(groups)
        groups.append(group)
    return _fused(all_, groups, len(results))


def _together(results: Sequence[Result]) -> Result:
    """The objects of all views, one after the other."""
    masks = None
    if results[0].masks is not None:
        masks = [mask for result in results for mask in result.masks or []]
    return replace(
        results[0],
        labels=np.concatenate([result.labels for result in results]),
        scores=np.concatenate([result.scores for result in results]),
        bboxes=np.concatenate([result.bboxes for result in results]),
        masks=masks,
    )


def _ious(result: Result) -> NDArray[np.float64]:
    """(N, N) the IoU of all objects, of masks if there are any; 0 for those of different classes."""
    from pycocotools import mask as api

    count = len(result)
    if not count:
        return np.zeros((0, 0))
    parts = result.bboxes if result.masks is None else result.masks
    ious = np.asarray(api.iou(parts, parts, [0] * count)).reshape(count, count)
    return np.where(result.labels[:, None] == result.labels, ious, 0.0)


def _fused(all_: Result, groups: Sequence[Sequence[int]], views: int) -> Result:
    """One object of each group."""
    scores = np.array([all_.scores[group].sum() / views for group in groups])
    boxes = [
        np.average(all_.bboxes[group], axis=0, weights=all_.scores[group] + 1e-9)
        for group in groups
    ]
    masks = all_.masks
    if masks is not None:
        masks = [_voted([masks[k] for k in g], all_.scores[g]) for g in groups]
    fused = replace(
        all_,
        labels=np.array([all_.labels[group[0]] for group in groups], np.int64),
        scores=scores,
        bboxes=np.array(boxes).reshape(-1, 4),
        masks=masks,
    )
    return fused[np.argsort(-scores, kind="stable")]


def _voted(masks: Sequence[CocoRLE], weights: NDArray[np.float64]) -> CocoRLE:
    """The pixels that masks with at least half of the weight have."""
    crops = [cut_out(mask) for mask in masks]
    known = [(c, w) for c, w in zip(crops, weights, strict=True) if c is not None]
    if len(known) < 2:
        return masks[0]
    left, top = min(c.x for c, _ in known), min(c.y for c, _ in known)
    right = max(c.x + c.mask.shape[1] for c, _ in known)
    bottom = max(c.y + c.mask.shape[0] for c, _ in known)
    votes = np.zeros((bottom - top, right - left), np.float32)
    for crop, weight in known:
        rows, columns = crop.mask.shape
        y, x = crop.y - top, crop.x - left
        votes[y : y + rows, x : x + columns] += np.float32(weight) * crop.mask
    height, width = masks[0]["size"]
    most = votes >= np.float32(weights.sum() / 2)
    return encode_part(most, left, top, height, width)


def _mirrored(result: Result) -> Result:
    """A result with left and right exchanged."""
    boxes = result.bboxes.copy()
    boxes[:, 0] = result.width - boxes[:, 0] - boxes[:, 2]
    masks = result.masks
    if masks is not None:
        masks = [_mirrored_mask(mask, result.width) for mask in masks]
    return replace(result, bboxes=boxes, masks=masks)


def _mirrored_mask(mask: CocoRLE, width: int) -> CocoRLE:
    crop = cut_out(mask)
    if crop is None:
        return mask
    left = width - crop.x - crop.mask.shape[1]
    return encode_part(crop.mask[:, ::-1], left, crop.y, *mask["size"])
