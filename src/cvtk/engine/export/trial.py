"""The trial of an exported file: it must find what the weights find."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cvtk.data.sources import ImageSource, list_images
from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import ModelSpec
from cvtk.errors import ModelError
from cvtk.results import Result

# Of other proportions than those that the network was traced with.
SIZES = ((480, 360), (300, 420))
BEST = 10  # objects of an image that are compared
SCORE_DIFFERENCE = 0.01
IOU = 0.95


def require_same_results(spec: ModelSpec, file: Path) -> None:
    """Compares an exported file with the weights that it was made from, on made-up pictures.

    Raises:
        ModelError: It finds something else.
    """
    exported = dataclasses.replace(spec, config=file, weights=file)
    with tempfile.TemporaryDirectory() as folder:
        images = list_images(_pictures(Path(folder)))
        expected = _found(Predictor(spec, "cpu"), images)
        found = _found(ExportedPredictor(exported, "cpu"), images)
    for one, other in zip(expected, found, strict=True):
        for index in range(min(BEST, len(one))):
            if not _is_among(one, index, other):
                raise ModelError(
                    f"{spec.name} cannot be exported: the file finds other objects than the weights.",
                    "See docs/export.md for the architectures that can be.",
                )


def _pictures(folder: Path) -> list[Path]:
    """Pictures of coloured clouds."""
    random = np.random.default_rng(0)
    paths = []
    for number, (width, height) in enumerate(SIZES):
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        cloud = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(8))
        stretched = np.clip((np.asarray(cloud).astype(int) - 128) * 12 + 128, 0, 255)
        paths.append(folder / f"{number}.png")
        Image.fromarray(stretched.astype(np.uint8)).save(paths[-1])
    return paths


def _found(
    predictor: Predictor | ExportedPredictor, images: list[ImageSource]
) -> list[Result]:
    return list(predictor.predict(images, batch_size=1, score=0))


def _is_among(one: Result, index: int, other: Result) -> bool:
    """Whether an object of one result is in the other too, with about the same score, box and mask."""
    from pycocotools import mask as coco_mask

    near = np.abs(other.scores - one.scores[index]) < SCORE_DIFFERENCE
    candidates = other[near & (other.labels == one.labels[index])]
    shapes = [_shapes(result) for result in (one[index], candidates)]
    if not len(candidates):
        return False
    ious: NDArray[np.float64] = coco_mask.iou(*shapes, [0] * len(candidates))
    return bool(ious.max() >= IOU)


def _shapes(result: Result) -> list[object] | NDArray[np.float64]:
    return result.bboxes
