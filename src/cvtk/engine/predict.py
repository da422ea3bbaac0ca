"""Trained weights on images: the predictions, one image at a time."""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cvtk.data.images import in_parallel, probe, too_thin
from cvtk.data.sources import ImageSource, list_images
from cvtk.engine.config_files import read_config
from cvtk.engine.devices import pick_device
from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.lean_masks import use_lean_masks
from cvtk.engine.quiet import quiet_libraries
from cvtk.engine.spec import ModelSpec
from cvtk.engine.start import load_named
from cvtk.engine.weights import checked_loading, read_weights
from cvtk.errors import CvtkError, DataError, FileError, ModelError, one_line
from cvtk.io import encode_mask, require_free
from cvtk.log import logger
from cvtk.options import InferenceOptions
from cvtk.recipe.nodes import each_dict
from cvtk.results import Result, write_instances


class Predictor:
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
        with quiet_libraries():
            self.network = load_network(spec, pick_device(device))

    def predict(
        self, images: Sequence[ImageSource], batch_size: int, score: float
    ) -> Iterator[Result]:
        """Yields what is found in each image.

        Args:
            images: In the order of the results.
            batch_size: Images that the network sees at once.
            score: Lowest score to keep, 0 to 1.

        Raises:
            FileError: An image cannot be read.
        """
        samples = run_network(self.network, images, batch_size, score)
        for image, sample in zip(images, samples, strict=True):
            yield to_result(sample, image, self.spec, score)


AnyPredictor: TypeAlias = Predictor | ExportedPredictor


def load_network(spec: ModelSpec, device: str, *, lean_masks: bool = True) -> Any:
    """The trained network, with its configuration as `cfg`.

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
    state = read_weights(spec.weights, spec.trust_weights)["state_dict"]
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
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{spec.weights} does not fit {spec.config}: {one_line(error)}",
            "Keep the two files of one training together.",
        ) from None
    network.cfg = cfg
    if lean_masks:
        use_lean_masks(network)
    return network.to(device).eval()


def run_network(
    network: Any, images: Sequence[ImageSource], batch_size: int, score: float
) -> Iterator[Any]:
    """Yields MMDetection's prediction for each image; the next batch is read meanwhile."""
    import torch
    from mmcv.transforms import Compose
    from mmengine.dataset import pseudo_collate

    from cvtk.engine.images import read_as_displayed

    steps = copy.deepcopy(network.cfg.test_dataloader.dataset.pipeline)
    read_as_displayed(steps)
    pipeline = Compose([step for step in steps if step["type"] != "LoadAnnotations"])

    def load(start: int) -> list[Any]:
        batch = images[start : start + batch_size]
        return [read_image(pipeline, image) for image in batch]

    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(load, 0)
        for start in range(0, len(images), batch_size):
            batch = pseudo_collate(ahead.result())
            ahead = reader.submit(load, start + batch_size)
            with weak_objects_left_out(network, score), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of no use to who predicts
                with torch.inference_mode():
                    samples = network.test_step(batch)
            yield from samples


def read_image(pipeline: Any, image: ImageSource) -> Any:
    """An image after the pipeline of the test images.

    Raises:
        FileError: It cannot be read.
    """
    try:
        return pipeline({"img_path": str(image.path), "img_id": 0})
    except Exception:  # OpenCV and MMDetection raise whatever a broken file leads to
        raise FileError(
            f"{image.path} cannot be read as an image.", "Open it, or leave it out."
        ) from None


def to_result(sample: Any, image: ImageSource, spec: ModelSpec, score: float) -> Result:
    """MMDetection's prediction for one image as a `Result`; masks become RLE at once."""
    found = sample.pred_instances.cpu()
    found = found[found.scores >= score]
    height, width = sample.ori_shape
    corners = found.bboxes.numpy().astype(np.float64).reshape(-1, 4)
    masks = None
    if "masks" in found:
        masks = [
            mask if isinstance(mask, dict) else encode_mask(mask.numpy())
            for mask in found.masks
        ]
    return Result(
        path=image.path,
        name=image.name,
        height=height,
        width=width,
        classes=tuple(spec.classes),
        category_ids=tuple(spec.category_ids),
        labels=found.labels.numpy(),
        scores=found.scores.numpy(),
        bboxes=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
        masks=masks,
    )


@contextlib.contextmanager
def weak_objects_left_out(network: Any, score: float) -> Iterator[None]:
    """Lets a network drop objects below a score before it makes their masks, which are large.

    That changes nothing for the others: scores only fall after this threshold, and an object is suppressed by
    stronger ones alone. PAA is left as it is, for it lets weak boxes vote on strong ones.
    """
    parts = [
        part
        for module in network.modules()
        if isinstance(getattr(module, "test_cfg", None), dict)
        for part in each_dict({**module.test_cfg, "rpn": None})
        if isinstance(part.get("score_thr"), (int, float))
    ]
    if any(type(module).__name__ == "PAAHead" for module in network.modules()):
        parts = []
    before = [part["score_thr"] for part in parts]
    try:
        for part in parts:
            part["score_thr"] = max(part["score_thr"], score)
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            part["score_thr"] = own


def predict_to_files(predictor: AnyPredictor, options: InferenceOptions) -> Path:
    """Draws what is found in each image, and writes it all to `instances.json`.

    Returns:
        The COCO file.
    """
    folder = Path(options.output)
    file = folder / "instances.json"
    require_free(file, force=options.force)
    images = list_images(options.data)
    require_not_read(folder, file, options.data, images)
    for image in images:
        require_free(folder / image.name, force=options.force)
    require_readable(images)

    def drawn() -> Iterator[Result]:
        for result in predictor.predict(images, options.batch_size, options.score):
            result.save_to_img(folder, force=options.force)
            yield result

    spec = predictor.spec
    count = write_instances(
        file,
        drawn(),
        spec.classes,
        spec.category_ids,
        image_ids=[image.id for image in images],
        force=options.force,
    )
    logger.info(
        f"{count} objects with a score of at least {options.score:g}: see {file} and the pictures beside it."
    )
    return file


def require_readable(images: Sequence[ImageSource]) -> None:
    """Opens every image, so that a damaged one is told before anything is drawn.

    Raises:
        DataError: One cannot be used.
    """
    for facts in in_parallel(lambda image: probe(image.path), images):
        problem = facts.trouble or too_thin(facts.width, facts.height)
        if problem:
            raise DataError(f"{facts.path}: {problem}.", "Mend it, or leave it out.")


def require_not_read(
    folder: Path, file: Path, data: Any, images: Sequence[ImageSource]
) -> None:
    """Checks that no result would take the place of what is read.

    Raises:
        FileError: One would.
    """
    inputs = {image.path.resolve() for image in images}
    if isinstance(data, (str, Path)):
        inputs.add(Path(data).resolve())
    outputs = [file, *(folder / image.name for image in images)]
    for output in outputs:
        if output.resolve() in inputs:
            raise FileError(
                f"{output} is among what is read, and a result would replace it.",
                "Choose another --output folder.",
            )
