"""What MMDetection's parts lack, so that they do not work with its other parts."""

from __future__ import annotations

from typing import Any


def correct_heads(network: Any) -> None:
    """Lets SSD predict: MMDetection asks every head for its loss of classes, which this one does not have.

    See `BaseDenseHead._predict_by_feat_single` of MMDetection 3.2 to 3.5 (`custom_cls_channels`).
    """
    from mmdet.models.dense_heads import SSDHead

    for head in network.modules():
        if isinstance(head, SSDHead) and not hasattr(head, "loss_cls"):
            head.loss_cls = None
