"""A network of MMDetection in the form in which it is exported: a picture in, objects out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cvtk.engine.export.masks import take_masks
from cvtk.engine.export.stand_ins import WITHOUT_EMPTY, Shape, Threshold
from cvtk.errors import ModelError
from cvtk.exported.description import ImageForm, MaskForm
from cvtk.recipe.nodes import each_dict

# What cannot be recorded, by the class of the part that does it.
_NOT_RECORDED = {
    "GuidedAnchorHead": "It chooses the places of an image at which it looks for objects, however many they are, which "
    "PyTorch's exporter cannot record.",
    "MultiInstanceBBoxHead": "It finds pairs of objects, and suppresses duplicates among them one after the other, for "
    "which there is no operator.",
    "DDQDETR": "It compares its queries with one another in each layer, and goes on with some of them, which PyTorch's "
    "exporter cannot record.",
}


class ExportedNetwork(nn.Module):  # type: ignore[misc]
    """A detector that takes a picture as it is, and the lowest score; what it gives is MMDetection's own.

    Args:
        network: The detector, in evaluation mode; it cannot be used otherwise any more.
        image: The picture that it takes.
        with_masks: Whether it makes masks.

    Attributes:
        masks: What its masks mean; None for a detector.
        outputs: Names of what it gives.
        lowest_score: Of the objects that it gives by its own configuration.

    Raises:
        ModelError: Its masks cannot be taken, or how it finds objects cannot be recorded.
    """

    def __init__(self, network: Any, image: ImageForm, with_masks: bool) -> None:
        super().__init__()
        self.network = network
        self.image = image
        self.taken: list[Tensor] = []
        self.masks: MaskForm | None = None
        self.outputs = ["boxes", "scores", "labels"]
        if with_masks:
            self.masks = take_masks(network, self.taken)
            self.outputs.append("masks")
        for module in network.modules():
            for kind in type(module).__mro__:
                if kind.__name__ in _NOT_RECORDED:
                    raise ModelError(_NOT_RECORDED[kind.__name__])
        self.thresholds = list(test_settings(network, "score_thr"))
        own = [part["score_thr"] for part in self.thresholds]
        self.lowest_score = float(max(own, default=0))
        for part in test_settings(network, "min_bbox_size"):
            # MMDetection leaves empty boxes out in a branch, which would be traced or not; `batched_nms` does it here.
            if part["min_bbox_size"] >= 0 and part.get("nms"):
                part["nms"][WITHOUT_EMPTY] = True
            part["min_bbox_size"] = -1
        for module in network.modules():
            if hasattr(module, "use_torchvision"):  # of mmcv's RoIAlign
                module.use_torchvision = True

    def forward(self, image: Tensor, score: Tensor) -> tuple[Tensor, ...]:
        """Finds objects.

        Args:
            image: (1, height, width, 3) uint8, red, green, blue.
            score: () float32, the lowest score to keep.

        Returns:
            What `outputs` names; see `cvtk.exported.onnx.OnnxFile.run`.
        """
        from mmdet.structures import DetDataSample

        for part in self.thresholds:
            part["score_thr"] = Threshold(score)
        picture = self._prepared(image)
        size, padded = self._sizes(image), self._sizes(picture.permute(0, 2, 3, 1))
        sample = DetDataSample(
            metainfo={
                "img_shape": size,
                "ori_shape": size,
                "scale_factor": (1.0, 1.0),
                "pad_shape": padded,
                "batch_input_shape": padded,
            }
        )
        self.taken.clear()
        [sample] = self.network.predict(picture, [sample], rescale=False)
        found = sample.pred_instances
        if self.masks is not None and not self.taken:
            raise ModelError(
                "It finds nothing in the picture of noise that it is recorded with, whatever the score."
            )
        given = (found.bboxes, found.scores, found.labels, *self.taken[-1:])
        if self.thresholds:
            return given
        keep = found.scores >= score  # DETR and its like have no threshold of their own
        return tuple(values[keep] for values in given)

    def _prepared(self, image: Tensor) -> Tensor:
        """The picture (1, 3, h, w) as MMDetection's `DetDataPreprocessor` gives it to the network."""
        settings = self.network.data_preprocessor
        picture = image.permute(0, 3, 1, 2).float()
        if not settings._channel_conversion:  # the network takes blue first
            picture = picture.flip(1)
        if settings._enable_normalize:
            picture = (picture - settings.mean) / settings.std
        divisor = settings.pad_size_divisor
        if divisor > 1:
            height, width = self._sizes(image)
            below, right = -height % divisor, -width % divisor
            picture = F.pad(picture, (0, right, 0, below), value=settings.pad_value)
        return picture

    def _sizes(self, image: Tensor) -> Shape:
        """Height and width of (1, h, w, 3): plain numbers where they are always the same."""
        height, width = image.shape[1:3]
        if self.image.canvas or not self.image.keep_ratio:
            return Shape((int(height), int(width)))
        return Shape((height, width))


def test_settings(network: Any, key: str) -> Iterator[dict[str, Any]]:
    """The parts of a network's test configuration that have a key."""
    seen = set()
    for module in network.modules():
        settings = getattr(module, "test_cfg", None)
        if not isinstance(settings, dict):
            continue
        for part in each_dict(settings):
            if key in part and id(part) not in seen:
                seen.add(id(part))
                yield part
