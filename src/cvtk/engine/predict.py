"""Trained weights on images: the predictions, one image at a time."""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from cvtk.analysis.thresholds import DEFAULT_SCORE, Thresholds
from cvtk.data.masks import boxes_around
from cvtk.data.reading import USUAL, Reading
from cvtk.data.sources import ImageSource
from cvtk.data.videos import Video
from cvtk.engine.config_files import read_config
from cvtk.engine.corrections import correct_heads
from cvtk.engine.devices import pick_device
from cvtk.engine.lean_masks import use_lean_masks
from cvtk.engine.pictures import Picture
from cvtk.engine.poses import Poses, is_given_poses
from cvtk.engine.quiet import quiet_libraries
from cvtk.engine.spec import ModelSpec
from cvtk.engine.start import load_named
from cvtk.engine.streaming import READERS, AnyPredictor, read_ahead
from cvtk.engine.thresholds import stored_thresholds
from cvtk.engine.tiling import (
    TiledOptions,
    Tiling,
    predict_in_tiles,
    size_seen,
    tiling_of,
)
from cvtk.engine.weights import checked_loading, read_weights
from cvtk.errors import CvtkError, ModelError, OptionError, one_line
from cvtk.io import encode_mask
from cvtk.recipe.explanations import object_limit
from cvtk.recipe.nodes import each_dict
from cvtk.results import Result

if TYPE_CHECKING:
    from cvtk.engine.augmented import View


class Predictor(AnyPredictor):
    """A network with its weights, on one device, ready to predict.

    Args:
        spec: A model with weights.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        ModelError: It has no weights yet, or they do not fit.
    """

    def __init__(self, spec: ModelSpec, device: str) -> None:
        if spec.weights is None:
            raise ModelError(
                f"{spec.name} has no weights yet.",
                "Train it, or open weights: create_model('NAME.pth').",
            )
        self.spec = spec
        self.views: list[View] = []  # none: an image is seen as it is, once
        with quiet_libraries():
            self.network = load_network(spec, pick_device(device))
        self.poses: Poses | None = None
        if is_given_poses(self.network.cfg):
            self.poses = Poses(spec.classes, self.network.cfg.model.keypoints)

    @property
    def thresholds(self) -> Thresholds | None:
        """The scores to cut at that were chosen as it was trained; None without a validation set."""
        return self.network.thresholds  # type: ignore[no-any-return]

    @property
    def object_limit(self) -> int | None:
        """The most objects that the network gives for one image; None: any number."""
        return object_limit(self.network.cfg.model)[1]

    def least_scores(self, score: float | None) -> list[float]:
        """The lowest score to keep of each class: given, chosen as it was trained, or the default."""
        if score is None and self.thresholds is not None:
            return [self.thresholds.by_class[name] for name in self.spec.classes]
        one = DEFAULT_SCORE if score is None else score
        return [one] * len(self.spec.classes)

    @property
    def reading(self) -> Reading:
        """How image files are read, as they were in the training."""
        return Reading.noted_in(self.network.cfg)

    def tiling(self, options: TiledOptions) -> Tiling | None:
        """How the options cut images for this network; see `cvtk.engine.tiling.tiling_of`."""
        if options.tile is not None:
            self._require_no_poses("--tile")
        return tiling_of(options, lambda: size_seen(self.spec, self.network.cfg))

    def augmented(self) -> Predictor:
        """The same network, which sees each image mirrored and at another size too; see `cvtk.engine.augmented`."""
        from cvtk.engine.augmented import views_of

        self._require_no_poses("--tta")
        other = copy.copy(self)
        other.views = views_of(self.network.cfg, self.reading)
        return other

    def require_usable(self, inputs: Sequence[ImageSource] | Video) -> None:
        """Refuses images without the poses that the network needs. See `AnyPredictor.require_usable`."""
        if self.poses is not None:
            if isinstance(inputs, Video):
                inputs = [ImageSource(inputs.path, inputs.path.name, 0)]
            self.poses.require(inputs)

    def given_with(self, inputs: Sequence[ImageSource] | Video) -> dict[str, Any]:
        """The poses of the images, for a network that is given them. See `AnyPredictor.given_with`."""
        if self.poses is None or isinstance(inputs, Video):
            return {}
        return {"poses": self.poses.fingerprint(inputs)}

    def _require_no_poses(self, option: str) -> None:
        if self.poses is not None:
            raise OptionError(
                f"{option} does not go with an architecture that is given poses.",
                "Leave it out.",
            )

    @property
    def is_augmented(self) -> bool:
        """Whether each image is seen several times."""
        return bool(self.views)

    def stream(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
        broken: Callable[[ImageSource, CvtkError], None] | None = None,
    ) -> Iterator[tuple[Picture, Result]]:
        """Yields each image with what is found in it; see `AnyPredictor.stream`."""
        from cvtk.engine.images import Reader

        cfg = self.network.cfg
        pipeline = cfg.test_dataloader.dataset.pipeline
        reader = Reader(pipeline, self.reading, self.poses)
        found = functools.partial(self._found, least=self.least_scores(score))
        if tiling is not None:
            # Such images are large: while one is predicted, only the next is read.
            for picture in read_ahead(reader.open, images, broken, ahead=1):
                yield (
                    picture,
                    predict_in_tiles(reader.cut, picture, tiling, batch_size, found),
                )
            return
        pictures = read_ahead(reader.read, images, broken, ahead=batch_size + READERS)
        while batch := list(islice(pictures, batch_size)):
            yield from zip(batch, found(batch), strict=True)

    def _found(self, pictures: list[Picture], least: list[float]) -> list[Result]:
        """What is found in prepared images, with at least the score of each class."""
        if self.views:
            from cvtk.engine.augmented import predict_views

            return predict_views(pictures, self.views, self._seen, least)
        return self._seen(pictures, least)

    def _seen(self, pictures: list[Picture], least: list[float]) -> list[Result]:
        """What the network finds in prepared images."""
        prepared = [picture.sample for picture in pictures]
        samples = run_network(self.network, prepared, min(least))
        return [
            to_result(sample, picture.source, self.spec, least, self.reading)
            for picture, sample in zip(pictures, samples, strict=True)
        ]


def load_network(spec: ModelSpec, device: str, *, lean_masks: bool = True) -> Any:
    """The trained network, with its configuration as `cfg`, and its scores to cut at as `thresholds`.

    Args:
        spec: A model with weights.
        device: As PyTorch calls it.
        lean_masks: Whether it gives masks as RLE; see `cvtk.engine.lean_masks`.

    Raises:
        ModelError: The weights do not fit the configuration beside them.
    """
    import mmdet.datasets  # noqa: F401 - registers how images are read
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    assert spec.weights is not None
    cfg = read_config(spec.config, spec.trust_weights)
    checkpoint = read_weights(spec.weights, spec.trust_weights)
    init_default_scope("mmdet")
    load = functools.partial(load_named, trust=spec.trust_weights)
    try:
        with checked_loading(load):
            network = MODELS.build(cfg.model)
    except CvtkError:
        raise
    except Exception as error:  # whatever the configuration asks MMDetection for
        raise ModelError(
            f"{spec.config} does not describe a network that MMDetection can build: {one_line(error)}",
            "Keep the two files of one training together, and the packages that it was trained with.",
        ) from None
    try:
        network.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise ModelError(
            f"{spec.weights} does not fit {spec.config}: {one_line(error)}",
            "Keep the two files of one training together.",
        ) from None
    network.cfg = cfg
    network.thresholds = stored_thresholds(checkpoint, spec)
    correct_heads(network)
    if lean_masks:
        use_lean_masks(network)
    return network.to(device).eval()


def run_network(network: Any, samples: Sequence[Any], score: float) -> list[Any]:
    """MMDetection's predictions for prepared images, one each."""
    import torch
    from mmengine.dataset import pseudo_collate

    with weak_objects_left_out(network, score), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no use to who predicts
        with torch.inference_mode():
            found: list[Any] = network.test_step(pseudo_collate(list(samples)))
    return found


def to_result(
    sample: Any,
    image: ImageSource,
    spec: ModelSpec,
    least_scores: Sequence[float],
    reading: Reading = USUAL,
) -> Result:
    """MMDetection's prediction for one image as a `Result`; masks become RLE at once."""
    found = sample.pred_instances.cpu()
    least = found.scores.new_tensor(least_scores)
    found = found[found.scores >= least[found.labels.long()]]
    height, width = sample.ori_shape
    corners = found.bboxes.numpy().astype(np.float64).reshape(-1, 4)
    bboxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    masks = None
    if "masks" in found:
        masks = [
            mask if isinstance(mask, dict) else encode_mask(mask.numpy())
            for mask in found.masks
        ]
    if masks and not corners.any():  # SOLO finds masks alone
        bboxes = boxes_around(masks)
    return Result(
        path=image.path,
        name=image.name,
        seconds=image.seconds,
        reading=image.reading or reading,
        height=height,
        width=width,
        classes=tuple(spec.classes),
        category_ids=tuple(spec.category_ids),
        labels=found.labels.numpy(),
        scores=found.scores.numpy(),
        bboxes=bboxes,
        masks=masks,
    )


@contextlib.contextmanager
def weak_objects_left_out(network: Any, score: float) -> Iterator[None]:
    """Lets a network drop objects below a score before it makes their masks, which are large.

    That changes nothing for the others: scores only fall after this threshold, and an object is suppressed by
    stronger ones alone. PAA is left as it is, for it lets weak boxes vote on strong ones.
    """
    configs = [getattr(module, "test_cfg", None) for module in network.modules()]
    parts = [
        part
        for config in configs
        if isinstance(config, dict)
        for part in (config, *each_dict([v for k, v in config.items() if k != "rpn"]))
        if isinstance(part.get("score_thr"), (int, float))
    ]
    if any(type(module).__name__ == "PAAHead" for module in network.modules()):
        parts = []
    before = [part["score_thr"] for part in parts]
    # They keep what is above it, and an object of just this score counts.
    below = float(np.nextafter(np.float32(score), np.float32(0)))
    try:
        for part in parts:
            part["score_thr"] = max(part["score_thr"], below)
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            part["score_thr"] = own
