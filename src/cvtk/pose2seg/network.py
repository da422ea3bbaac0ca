"""The network, as an architecture of MMDetection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.models.backbones.resnet import Bottleneck
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.layers import ResLayer
from mmdet.registry import MODELS
from mmdet.structures.mask import mask2bbox
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .alignment import Array, Pairs, align, moved, varied, with_mirrored
from .sampling import into_square, out_of_square, part_of_image
from .skeletons import skeleton_maps

AT_ONCE = 8  # objects, in inference: their features take 16 MB each
MAPS_SCALE = 64.0
"""The skeleton's maps are 0 nearly everywhere: as they are, a new network would hardly see them beside the features."""


@MODELS.register_module(force=True)
class SegModule(BaseModule):  # type: ignore[misc]
    """Tells object from background in a square: 7 x 7 convolution, ten residual units, and one more at twice the size.

    Args:
        in_channels: Of the features and the skeleton's maps together.
        norm_cfg: The normalization.
        init_cfg: How it begins.
    """

    def __init__(
        self, in_channels: int, norm_cfg: Any = None, init_cfg: Any = None
    ) -> None:
        super().__init__(init_cfg)
        norm = norm_cfg or {"type": "BN"}
        self.stem = ConvModule(in_channels, 256, 7, 2, 3, norm_cfg=norm)
        self.units = ResLayer(Bottleneck, 256, 256, 10, norm_cfg=norm)
        self.last = ResLayer(Bottleneck, 1024, 128, 1, norm_cfg=norm)
        self.classify = nn.Conv2d(512, 2, 1)

    def forward(self, square: Tensor) -> Tensor:
        """(N, C, side, side) to (N, 2, side, side): the logits of background and object."""
        found = self.units(self.stem(square))
        size = square.shape[-2:]
        found = F.interpolate(found, size, mode="bilinear", align_corners=True)
        return self.classify(self.last(found))


@MODELS.register_module(force=True)
class Pose2Seg(BaseDetector):  # type: ignore[misc]
    """Masks of objects whose keypoints are known.

    Args:
        backbone: The backbone's configuration.
        neck: The neck's; its finest level is used.
        mask_head: That of `SegModule`.
        keypoints: Their names.
        limbs: Pairs of keypoints that are joined.
        pairs: Pairs of keypoints that change places in a mirror.
        templates: What poses look like: each a list of K (x, y, visibility) in a square of 1 x 1.
        share: The longer side of the images, as the network sees them, is so many times the side of an object's square.
        least_side: Of the square, in pixels, however small the images are.
        train_cfg: `max_objects` a batch, and how much the view of an object varies: by up to `turn` degrees, in
            `scale` from the least to the most, and by up to `shift` sides.
        test_cfg: `threshold`, the probability from which a pixel belongs to the object.
        data_preprocessor: That of images.
        init_cfg: How it begins.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        neck: dict[str, Any],
        mask_head: dict[str, Any],
        keypoints: Sequence[str],
        limbs: Sequence[Sequence[int]],
        pairs: Pairs,
        templates: Sequence[Sequence[Sequence[float]]],
        share: float = 8,
        least_side: int = 2,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.count, self.limbs = len(keypoints), [list(limb) for limb in limbs]
        channels = neck["out_channels"] + self.count + 2 * len(limbs)
        self.mask_head = MODELS.build({**mask_head, "in_channels": channels})
        self.templates = with_mirrored([np.array(each) for each in templates], pairs)
        self.share, self.least_side = share, least_side
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, C, H / 4, W / 4)."""
        features: Tensor = self.neck(self.backbone(batch_inputs))[0]
        return features

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Any = None) -> Tensor:
        return self.extract_feat(batch_inputs)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: list[Any]
    ) -> dict[str, Tensor]:
        """The cross entropy in the squares of some of the objects.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: With `poses` and, in the same order, the masks of `gt_instances`.
        """
        features = self.extract_feat(batch_inputs)
        chosen = self._chosen(batch_data_samples)
        if not chosen:
            return {"loss_mask": self._nothing(features, batch_inputs)}
        side, (height, width) = self._side(batch_inputs), batch_inputs.shape[-2:]
        poses, views, masks = [], [], []
        for image, number in chosen:
            sample = batch_data_samples[image]
            poses.append(sample.poses.keypoints[number].cpu().numpy())
            view = self._view(poses[-1], sample.img_shape, side)
            views.append(self._varied(view, side))
            masks.append(sample.gt_instances.masks.masks[number])
        target = _tensor(masks, features)[:, None]
        target = into_square(target, _tensor(views, features), (width, height), side)
        of_images = features[[image for image, _ in chosen]]
        logits = self._logits(of_images, poses, views, batch_inputs)
        return {"loss_mask": F.cross_entropy(logits, (target[:, 0] > 0.5).long())}

    def _nothing(self, features: Tensor, batch_inputs: Tensor) -> Tensor:
        """A loss of 0 that all weights take part in, as several processes that train together need it."""
        pose = np.zeros((self.count, 3))
        view = self._view(pose, batch_inputs.shape[-2:], self._side(batch_inputs))
        return self._logits(features[:1], [pose], [view], batch_inputs).sum() * 0

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: list[Any], rescale: bool = True
    ) -> list[Any]:
        """The masks of all poses, as MMDetection's `pred_instances`.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: With `poses`.
            rescale: Whether masks are of the images as they were read, and not as the network sees them.
        """
        features = self.extract_feat(batch_inputs)
        found = [
            self._found(feature, sample, batch_inputs, rescale)
            for feature, sample in zip(features, batch_data_samples, strict=True)
        ]
        samples: list[Any] = self.add_pred_to_datasample(batch_data_samples, found)
        return samples

    def _found(
        self, feature: Tensor, sample: Any, batch_inputs: Tensor, rescale: bool
    ) -> InstanceData:
        """What is found in one image. A pose of which no pixel is found is left out."""
        height, width = sample.ori_shape if rescale else sample.img_shape
        across, down = sample.scale_factor if rescale else (1.0, 1.0)
        to_input = _tensor(np.diag([across, down, 1]), feature)
        given = sample.poses[has_pose(sample.poses.keypoints)]
        poses = given.keypoints.cpu().numpy()
        masks = feature.new_zeros((len(poses), height, width), dtype=torch.bool)
        side = self._side(batch_inputs)
        for start in range(0, len(poses), AT_ONCE):
            some = poses[start : start + AT_ONCE]
            views = [self._view(pose, sample.img_shape, side) for pose in some]
            repeated = feature.expand(len(some), *feature.shape)
            logits = self._logits(repeated, some, views, batch_inputs)
            inside = logits.float().softmax(dim=1)[:, 1:]
            for mask, square, view in zip(masks[start:], inside, views, strict=False):
                transform = _tensor(view, feature) @ to_input
                x, y, w, h = part_of_image(transform, side, (width, height))
                if w > 0 and h > 0:
                    seen = out_of_square(square, transform, (x, y, w, h))[0]
                    mask[y : y + h, x : x + w] = seen > self.test_cfg["threshold"]
        found = InstanceData(
            bboxes=mask2bbox(masks),
            scores=given.scores,
            labels=given.labels,
            masks=masks,
        )
        return found[masks.flatten(1).any(dim=1)]

    def _logits(
        self,
        features: Tensor,
        poses: Sequence[Array],
        views: Sequence[Array],
        batch_inputs: Tensor,
    ) -> Tensor:
        """Background and object in the squares of objects: (N, 2, side, side).

        Args:
            features: (N, C, h, w), of the image of each object.
            poses: Of each object, (K, 3) in pixels of the network's input.
            views: The transform of each.
            batch_inputs: (B, 3, H, W).
        """
        height, width = batch_inputs.shape[-2:]
        side = self._side(batch_inputs)
        transforms = _tensor(views, features)
        seen = into_square(features, transforms, (width, height), side)
        places = [
            np.column_stack([moved(pose[:, :2], view), pose[:, 2]])
            for pose, view in zip(poses, views, strict=True)
        ]
        maps = skeleton_maps(_tensor(places, features), self.limbs, side)
        logits: Tensor = self.mask_head(torch.cat([seen, MAPS_SCALE * maps], dim=1))
        return logits

    def _chosen(self, samples: Sequence[Any]) -> list[tuple[int, int]]:
        """Objects to learn from, by the number of their image and their own: some of those that have a keypoint."""
        usable = [
            (image, int(number))
            for image, sample in enumerate(samples)
            for number in has_pose(sample.poses.keypoints).nonzero()[:, 0]
        ]
        some = torch.randperm(len(usable))[: self.train_cfg["max_objects"]]
        return [usable[number] for number in some.tolist()]

    def _side(self, batch_inputs: Tensor) -> int:
        """The side of an object's square in pixels, in proportion to that of the images."""
        return int(max(self.least_side, max(batch_inputs.shape[-2:]) // self.share))

    def _view(self, pose: Array, size: Sequence[int], side: int) -> Array:
        """The transform by which an object of an image of (height, width) is seen in its square."""
        scale = side / max(size)
        plain = np.array([[scale, 0, 0], [0, scale, 0]])
        return align(pose, self.templates, side, plain)

    def _varied(self, view: Array, side: int) -> Array:
        """A view with a random change, for training."""
        most = self.train_cfg
        turn, x, y, scale = torch.rand(4, dtype=torch.float64).tolist()
        low, high = most["scale"]
        shift = most["shift"] * (2 * x - 1), most["shift"] * (2 * y - 1)
        turned = most["turn"] * (2 * turn - 1)
        return varied(view, side, turned, low + (high - low) * scale, shift)


def has_pose(keypoints: Tensor) -> Tensor:
    """(N,) whether objects with keypoints (N, K, 3) have any that is marked."""
    return (keypoints[..., 2] > 0).any(dim=1)


def _tensor(values: Any, like: Tensor) -> Tensor:
    """Numbers in float32, whatever the precision of the training, on the device of another tensor."""
    return torch.tensor(np.array(values), dtype=torch.float32, device=like.device)
