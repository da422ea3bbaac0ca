"""Where a network's masks are taken: as small as the network makes them, before MMDetection enlarges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cvtk.errors import ModelError
from cvtk.exported.description import MaskForm

Taken = list[Any]


def take_masks(network: Any, taken: Taken) -> MaskForm:
    """Lets a network put its masks (N, h, w), once it has made them, into a list.

    Args:
        network: A segmenter; its heads are changed.
        taken: The list.

    Returns:
        What the masks mean.

    Raises:
        ModelError: It makes masks in a way that is not known here.
    """
    form = None
    for head in list(network.modules()):
        for kind in type(head).__mro__:
            if kind.__name__ in _NOT_TAKEN:
                raise ModelError(_NOT_TAKEN[kind.__name__])
            if kind.__name__ in _TAKERS:  # in a cascade there are several, of one kind
                form = _TAKERS[kind.__name__](head, taken)
    if form is None:
        raise ModelError("Its way to make masks is not one that can be exported.")
    return form


def _rtmdet_ins(head: Any, taken: Taken) -> MaskForm:
    predict = head._mask_predict_by_feat_single

    def keep(*args: Any) -> Any:
        taken.append(predict(*args))
        return taken[-1]

    head._mask_predict_by_feat_single = keep
    stride = head.prior_generator.strides[0][0]
    # The threshold of MMDetection's configuration, 0.5, is of probabilities; these are not yet.
    return MaskForm("input", threshold=0.0, stride=int(stride), rounded_up=True)


def _fcn_mask(head: Any, taken: Taken) -> MaskForm:
    def keep(mask_preds: Any, labels: Any, activate_map: bool, **_: Any) -> Any:
        import torch

        # A cascade gives the mean of its heads' probabilities.
        shares = mask_preds if activate_map else mask_preds.sigmoid()
        rows = torch.arange(labels.shape[0])
        taken.append(shares[rows, labels * 0 if head.class_agnostic else labels])
        return taken[-1]

    head._predict_by_feat_single = keep
    return MaskForm("box", threshold=0.5)


def _yolact(head: Any, taken: Taken) -> MaskForm:
    """YOLACT stretches the masks, cropped to their boxes, to the image at once."""

    def keep(mask_preds: Any, **_: Any) -> Any:
        taken.append(mask_preds)
        return taken[-1]

    head._predict_by_feat_single = keep
    return MaskForm("image", threshold=float(head.test_cfg.mask_thr))


def _condinst(head: Any, taken: Taken) -> MaskForm:
    """CondInst enlarges its masks to the picture in a way of its own, which becomes a part of the file."""

    def keep(mask_preds: Any, **_: Any) -> Any:
        from mmdet.models.utils import aligned_bilinear

        masks = mask_preds.sigmoid()[None]
        taken.append(aligned_bilinear(masks, head.mask_out_stride)[0])
        return taken[-1]

    head._predict_by_feat_single = keep
    return MaskForm("input", threshold=float(head.test_cfg.mask_thr))


# By the class of the head that makes them.
_TAKERS: dict[str, Callable[[Any, Taken], MaskForm]] = {
    "RTMDetInsHead": _rtmdet_ins,
    "FCNMaskHead": _fcn_mask,
    "YOLACTProtonet": _yolact,
    "CondInstMaskHead": _condinst,
}

# Why not, for others.
_SOLO = "cvtk cannot take the masks of SOLO, which it makes for places of a grid, without boxes."
_NOT_TAKEN = {
    "SOLOHead": _SOLO,
    "SOLOV2Head": _SOLO,
    "MaskFormerFusionHead": "cvtk cannot take the masks of Mask2Former, which it makes for queries, without boxes.",
}
