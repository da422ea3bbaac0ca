"""Exported models that compute with whole numbers of 8 bits: smaller and quicker, and a little less exact."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvtk.data.sources import ImageSource
from cvtk.engine.export.trial import ious_with
from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.spec import ModelSpec
from cvtk.errors import CvtkError, ModelError, one_line
from cvtk.exported.description import KEY
from cvtk.exported.pixels import fit
from cvtk.log import logger

MOST_IMAGES = 32
"""Images that are looked at; more do not change the ranges of values much."""

LEAST_SHARE = 0.9
"""Of the objects that the exact file finds in these images; that the small one finds fewer is a warning."""

IOU = 0.5


def to_int8(spec: ModelSpec, file: Path, images: Sequence[ImageSource]) -> None:
    """Rounds the convolutions of an exported file, which make up most of its time, to 8 bits.

    What comes out of each convolution is scaled by the range of values that images of the training give, whole
    numbers from 0 to 255; each output channel of its weights by its own range.

    Args:
        spec: The model that was exported.
        file: `NAME.onnx`, with its description; replaced.
        images: Images of the training.

    Raises:
        DataError: An image cannot be read.
        ModelError: onnxruntime cannot do it.
    """
    exact = _open(spec, file)
    chosen = _some(images)
    small = file.with_name(f"{file.stem}.int8{file.suffix}")
    try:
        _quantise(exact, file, small, chosen)
        _describe(small)
        _tell_difference(exact, _open(spec, small), chosen)
        small.replace(file)
    finally:
        small.unlink(missing_ok=True)


def _open(spec: ModelSpec, file: Path) -> ExportedPredictor:
    return ExportedPredictor(replace(spec, config=file, weights=file), "cpu")


def _some(images: Sequence[ImageSource]) -> list[ImageSource]:
    """At most `MOST_IMAGES`, from all parts of the list."""
    places = np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES))
    return [images[place] for place in places.round().astype(int)]


def _quantise(
    exact: ExportedPredictor, file: Path, small: Path, images: Sequence[ImageSource]
) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantType,
        quantize_static,
    )

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        """The inputs of the network, one image after the other."""

        def __init__(self) -> None:
            self.inputs = (_inputs(exact, image) for image in images)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            """The next; None behind the last."""
            return next(self.inputs, None)

    with _silent_root():
        try:
            quantize_static(
                file,
                small,
                Pictures(),
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,  # signed ones took twice as long
                weight_type=QuantType.QInt8,
            )
        except CvtkError:  # of an image
            raise
        except Exception as error:  # whatever its graph tools meet
            raise ModelError(
                f"{exact.spec.name} cannot be rounded to 8 bits: {one_line(error)}",
                "Export it without --int8.",
            ) from error


def _inputs(exact: ExportedPredictor, image: ImageSource) -> dict[str, NDArray[Any]]:
    picture, _ = fit(exact.read(image).pixels, exact.about.image)
    # Objects of any score: with none, parts of the network would see no values at all.
    return {"image": picture[None], "score": np.array(0, dtype=np.float32)}


@contextlib.contextmanager
def _silent_root() -> Iterator[None]:
    """Keeps quiet what warns by the root logger, and would set it up for the whole program."""
    nowhere = logging.NullHandler()
    logging.root.addHandler(nowhere)
    try:
        yield
    finally:
        logging.root.removeHandler(nowhere)


def _describe(file: Path) -> None:
    """Notes in a file's description that it computes with 8 bits."""
    import onnx

    model = onnx.load(file)
    properties = {part.key: part.value for part in model.metadata_props}
    about = msgspec.json.decode(properties[KEY])
    properties[KEY] = msgspec.json.encode({**about, "bits": 8}).decode()
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, file)


def _tell_difference(
    exact: ExportedPredictor, small: ExportedPredictor, images: Sequence[ImageSource]
) -> None:
    """Says how many of the objects that the exact file finds the small one finds too."""
    found = total = 0
    for one, other in zip(
        exact.predict(images, 1, None), small.predict(images, 1, None), strict=True
    ):
        total += len(one)
        for index, label in enumerate(one.labels):
            ious = ious_with(one[index], other[other.labels == label])
            found += bool(ious.max(initial=0) >= IOU)
    tell = logger.info if found >= LEAST_SHARE * total else logger.warning
    tell(
        f"With 8 bits it finds {found} of the {total} objects that it finds with 32, in {len(images)} images."
    )
