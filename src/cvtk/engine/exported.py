"""An exported model on images: the same predictions, by the same calls, without PyTorch and MMDetection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.thresholds import DEFAULT_SCORE, Thresholds
from cvtk.data.images import in_parallel, read_image
from cvtk.data.sources import ImageSource
from cvtk.engine.pictures import Picture
from cvtk.engine.spec import ModelSpec
from cvtk.errors import CvtkError, DataError, OptionError
from cvtk.exported.onnx import Arrays, OnnxFile
from cvtk.exported.pixels import Size, fit, mask_of_box, mask_of_image
from cvtk.io import CocoRLE, encode_mask
from cvtk.results import Result

if TYPE_CHECKING:
    from cvtk.engine.tiling import TiledOptions, Tiling


class ExportedPredictor:
    """An exported model, ready to predict; see `cvtk.engine.predict.Predictor`.

    Args:
        spec: A model whose weights are an exported file.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        CvtkError: The file cannot be run; see `OnnxFile`.
    """

    thresholds: Thresholds | None = None  # those of the weights are not exported
    object_limit: int | None = None  # not known

    def __init__(self, spec: ModelSpec, device: str) -> None:
        assert spec.weights is not None
        self.spec = spec
        self.file = OnnxFile(spec.weights, device)
        self.about = self.file.description

    def least_scores(self, score: float | None) -> list[float]:
        """The lowest score to keep of each class, in their order: one for all.

        Args:
            score: 0 to 1; None takes the default.
        """
        return [DEFAULT_SCORE if score is None else score] * len(self.spec.classes)

    def tiling(self, options: TiledOptions) -> None:
        """Exported models see whole images.

        Raises:
            OptionError: The options ask for tiles.
        """
        if options.tile is not None:
            raise OptionError(
                f"--tile: {self.spec.weights} is an exported model, which sees whole images.",
                "Use the weights that it was exported from.",
            )

    def predict(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
    ) -> Iterator[Result]:
        """Yields what is found in each image; see `stream`."""
        for picture, result in self.stream(images, batch_size, score, tiling):
            yield replace(result, pixels=picture.source.pixels)

    def stream(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
        broken: Callable[[ImageSource, CvtkError], None] | None = None,
    ) -> Iterator[tuple[Picture, Result]]:
        """Yields each image with what is found in it; the next one is read meanwhile.

        Args:
            images: In the order of the results.
            batch_size: Not used: an exported network sees one image at once.
            score: Lowest score to keep, 0 to 1; None: see `least_scores`.
            tiling: Not used.
            broken: Called with an image that cannot be read, which is then left out.

        Raises:
            DataError: An image cannot be read, and `broken` is None.
        """
        least = self.least_scores(score)[0]
        for source, image in in_parallel(_attempt, images, workers=1, ahead=2):
            if not isinstance(image, CvtkError):
                fitted, scale = fit(image, self.about.image)
                found = self.file.run(fitted, max(least, self.about.lowest_score))
                result = self._result(found, source, image.shape, scale, least)
                yield Picture(source, image[..., ::-1], None), result
            elif broken is None:
                raise image
            else:
                broken(source, image)

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


def _attempt(source: ImageSource) -> tuple[ImageSource, NDArray[np.uint8] | CvtkError]:
    """An image as it is displayed, or why it cannot be read."""
    if source.pixels is not None:
        return source, source.pixels
    try:
        return source, read_image(source.path)
    except DataError as error:
        return source, error
