"""Trained weights on images: the predictions, one image at a time."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cvtk.data.sources import ImageSource, list_images
from cvtk.engine.config_files import read_config
from cvtk.engine.quiet import quiet_libraries
from cvtk.engine.spec import ModelSpec
from cvtk.engine.weights import pick_device, read_weights
from cvtk.errors import FileError, ModelError
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

    def predict_to_files(predictor: Predictor, options: InferenceOptions) -> Path:
    """Draws what is found in each image, and writes it all to `instances.json`.

    Returns:
        The COCO file.
    """
    folder = Path(options.output)
    file = folder / "instances.json"
    require_free(file, force=options.force)
    images = list_images(options.data)
    require_not_read(folder, file, options.data, images)

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
