"""Models that PaddleX lists, and what comes nearest to them here."""

from __future__ import annotations

import dataclasses
import math
import re

from cvtk.zoo.index import Entry, catalogue


@dataclasses.dataclass(frozen=True)
class PaddleModel:
    """One instance segmentation model of PaddleX.

    Attributes:
        name: Its name there.
        mask_ap: Published mask AP on COCO 2017 val, in per cent.
        size_mb: Size of its weights in MB.
    """

    name: str
    mask_ap: float
    size_mb: float

    @property
    def params(self) -> float:
        """Parameters in millions: weights are stored in 4 bytes each."""
        return self.size_mb / 4


# Source: PaddleX's documentation of its instance segmentation module, "supported models".
PADDLE_MODELS = (
    PaddleModel("Mask-RT-DETR-H", 50.6, 449.9),
    PaddleModel("Mask-RT-DETR-X", 47.5, 237.5),
    PaddleModel("Mask-RT-DETR-L", 45.7, 113.6),
    PaddleModel("Mask-RT-DETR-M", 42.7, 66.6),
    PaddleModel("Mask-RT-DETR-S", 41.0, 51.8),
    PaddleModel("PP-YOLOE_seg-S", 32.5, 31.5),
    PaddleModel("Cascade-MaskRCNN-ResNet50-vd-SSLDv2-FPN", 39.1, 254.7),
    PaddleModel("MaskRCNN-ResNeXt101-vd-FPN", 39.5, 370.0),
    PaddleModel("MaskRCNN-ResNet101-vd-FPN", 38.1, 225.1),
    PaddleModel("MaskRCNN-ResNet50-vd-FPN", 36.4, 157.5),
)


def paddle_model(name: str) -> PaddleModel | None:
    """The model of PaddleX that is not in MMDetection and that a name, or the start of one, means.

    Args:
        name: E.g. `Mask-RT-DETR-L`, `mask rt-detr` (then the smallest of them) or `PP-YOLOE_seg`.

    Returns:
        The model, or None where the name means none of them.
    """
    wanted = re.sub(r"[^a-z0-9]", "", name.lower())
    by_letters = {re.sub(r"[^a-z0-9]", "", m.name.lower()): m for m in PADDLE_MODELS}
    if wanted in by_letters:
        return by_letters[wanted]
    # "mask" and "mask rcnn" mean models that are here; a longer start of these two means Paddle's alone.
    if not wanted.startswith(("maskrt", "ppyoloe")):
        return None
    starts = [m for text, m in by_letters.items() if text.startswith(wanted)]
    return min(starts, key=lambda model: model.size_mb, default=None)


def equivalents(model: PaddleModel, n: int = 5) -> list[Entry]:
    """The models of the catalogue that are nearest in mask AP and size.

    The distance is the difference in points of mask AP, plus twice the binary logarithm of the ratio of
    sizes: half the size counts as much as two points of AP. Where the number of parameters is unknown, a
    factor of two is assumed.

    Args:
        model: What to come near to.
        n: The most entries to return.

    Returns:
        Entries with AP on COCO and a checkpoint, nearest first.
    """

    def distance(entry: Entry) -> float:
        ratio = abs(math.log2(entry.params / model.params)) if entry.params else 1.0
        return abs((entry.mask_ap or 0.0) - model.mask_ap) + 2.0 * ratio

    usable = [
        e
        for e in catalogue()
        if e.task == "segm" and e.mask_ap and e.weights_url and e.dataset == "COCO"
    ]
    return sorted(usable, key=distance)[:n]
