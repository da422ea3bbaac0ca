"""The trial of an exported file: it must find what the weights find."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cvtk.data.sources import ImageSource, list_images
from cvtk.engine.export.network import test_settings
from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import ModelSpec
from cvtk.engine.streaming import AnyPredictor
from cvtk.errors import ModelError
from cvtk.results import Result

# Of other proportions than that which the network was traced with.
SIZES = ((480, 360), (300, 420))
BEST = 10  # objects of a picture that are compared
SCORE_DIFFERENCE = 0.01
IOU = 0.95
SMALLEST = 100  # pixels of an object that is compared: in a smaller one a single pixel counts for much
# Of the objects that are compared. Those of a network that has learned little are so alike that some may change.
SHARE = 0.8


def require_same_results(spec: ModelSpec, file: Path) -> NDArray[np.float64]:
    """Compares an exported file with the weights that it was made from, on made-up pictures, whatever the score.

    Returns:
        Of each object that was compared, the IoU with what the file found in its place (the lower one of those of
        the boxes and of the masks), 0 for nothing; none where the weights find no object that is large enough.

    Raises:
        ModelError: It finds something else.
    """
    weights = Predictor(spec, "cpu")
    for part in test_settings(weights.network, "score_thr"):
        part["score_thr"] = 0
    exported = ExportedPredictor(replace(spec, config=file, weights=file), "cpu")
    exported.about = msgspec.structs.replace(exported.about, lowest_score=0)
    with tempfile.TemporaryDirectory() as folder:
        images = list_images(pictures(Path(folder)))
        expected = _found(weights, images)
        where = "on other images than the one that it was recorded with"
        try:
            found = _found(exported, images)
            where = "on an image in which it finds nothing"
            list(exported.predict(images[:1], batch_size=1, score=1))
        except Exception as error:  # whatever the runtime meets in it
            raise ModelError(
                f"{spec.name} cannot be exported: the file was written, but does not run {where}.",
                "See docs/export-table.md for the architectures that can be.",
            ) from error
    ious = np.array(
        [
            iou_in(one, index, other)
            for one, other in zip(map(_large, expected), found, strict=True)
            for index in range(min(BEST, len(one)))
        ]
    )
    same = int((ious >= IOU).sum())
    if same < SHARE * len(ious):
        raise ModelError(
            f"{spec.name} cannot be exported: of {len(ious)} objects in a trial, the file found {same}.",
            "See docs/export-table.md for the architectures that can be.",
        )
    return ious


def pictures(folder: Path) -> list[Path]:
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


def _found(predictor: AnyPredictor, images: list[ImageSource]) -> list[Result]:
    return list(predictor.predict(images, batch_size=1, score=0))


def _large(result: Result) -> Result:
    """The objects whose box and mask are large enough to be compared."""
    areas = np.array([item["area"] for item in result.to_coco()])
    return result[np.minimum(areas, result.bboxes[:, 2:].prod(axis=1)) >= SMALLEST]


def iou_in(one: Result, index: int, other: Result) -> float:
    """The best IoU of an object of one result with one of the other, of its class and with about its score."""
    near = np.abs(other.scores - one.scores[index]) < SCORE_DIFFERENCE
    candidates = other[near & (other.labels == one.labels[index])]
    # Masks alone would not do: those of a network that has learned little may cover the whole picture.
    ious = np.minimum(
        ious_with(one[index], candidates), _box_ious(one[index], candidates)
    )
    return float(ious.max(initial=0))


def _box_ious(one: Result, others: Result) -> NDArray[np.float64]:
    """The IoU of the box of one object with each of others (N,)."""
    return ious_with(replace(one, masks=None), replace(others, masks=None))


def ious_with(one: Result, others: Result) -> NDArray[np.float64]:
    """The IoU of one object with each of others (N,): of masks, else of boxes."""
    from pycocotools import mask as coco_mask

    if not len(others):
        return np.zeros(0)
    if one.masks is None:
        ious = coco_mask.iou(others.bboxes, one.bboxes, [0])
    else:
        ious = coco_mask.iou(others.masks, one.masks, [0])
    return np.asarray(ious, dtype=np.float64).ravel()
