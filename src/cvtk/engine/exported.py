"""An exported model on images: the same predictions, by the same calls, without PyTorch and MMDetection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import read_image
from cvtk.data.sources import ImageSource
from cvtk.engine.spec import ModelSpec
from cvtk.errors import DataError, FileError
from cvtk.exported.onnx import Arrays, OnnxFile
from cvtk.exported.pixels import Size, fit, mask_of_box, mask_of_image
from cvtk.io import CocoRLE, encode_mask
from cvtk.results import Result


class ExportedPredictor:
    """An exported model, ready to predict; see `cvtk.engine.predict.Predictor`.

    Args:
        spec: A model whose weights are an exported file.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        CvtkError: The file cannot be run; see `OnnxFile`.
    """

    def __init__(self, spec: ModelSpec, device: str) -> None:
        assert spec.weights is not None
        self.spec = spec
        self.file = OnnxFile(spec.weights, device)
        self.about = self.file.description

    def predict(
        self, images: Sequence[ImageSource], batch_size: int, score: float
    ) -> Iterator[Result]:
        """Yields what is found in each image.

        Args:
            images: In the order of the results.
            batch_size: Not used: an exported network sees one image at once.
            score: Lowest score to keep, 0 to 1.

        Raises:
            FileError: An image cannot be read.
        """
        for source in images:
            image = _read(source)
            picture, scale = fit(image, self.about.image)
            found = self.file.run(picture, max(score, self.about.lowest_score))
            yield self._result(found, source, image.shape, scale, score)

    def _result(
        self,
        found: Arrays,
        source: ImageSource,
        shape: tuple[int, ...],
        scale: tuple[float, float],
        score: float,
    ) -> Result:
        """What the network gave, in pixels of the image."""
        corners = found["boxes"].astype(np.float64) / (*scale, *scale)
        keep = found["scores"] >= score
        size = (shape[1], shape[0])
        masks = None
        if "masks" in found:
            masks = self._masks(found["masks"][keep], corners[keep], scale, size)
        return Result(
            path=source.path,
            name=source.name,
            height=shape[0],
            width=shape[1],
            classes=tuple(self.spec.classes),
            category_ids=tuple(self.spec.category_ids),
            labels=found["labels"][keep],
            scores=found["scores"][keep],
            bboxes=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])[keep],
            masks=masks,
        )

    def _masks(
        self,
        values: NDArray[np.float32],
        corners: NDArray[np.float64],
        scale: tuple[float, float],
        size: Size,
    ) -> list[CocoRLE]:
        """The masks of an image, made and packed one by one, for large ones take much memory."""
        form = self.about.masks
        assert form is not None
        if form.covers == "box":
            return [
                encode_mask(mask_of_box(mask, form, box, size))
                for mask, box in zip(values, corners, strict=True)
            ]
        return [encode_mask(mask_of_image(mask, form, scale, size)) for mask in values]


def _read(source: ImageSource) -> NDArray[np.uint8]:
    """An image as it is displayed.

    Raises:
        FileError: It cannot be read.
    """
    try:
        return read_image(source.path)
    except DataError:
        raise FileError(
            f"{source.path} cannot be read as an image.", "Open it, or leave it out."
        ) from None
