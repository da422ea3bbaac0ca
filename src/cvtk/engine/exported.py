"""An exported model on images: the same predictions, by the same calls, without PyTorch and MMDetection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.thresholds import Thresholds
from cvtk.data.images import read_image
from cvtk.data.reading import Reading
from cvtk.data.sources import ImageSource
from cvtk.data.tiles import Tile
from cvtk.engine.pictures import Picture
from cvtk.engine.spec import ModelSpec
from cvtk.engine.streaming import READERS, AnyPredictor, read_ahead
from cvtk.engine.tiling import TiledOptions, Tiling, predict_in_tiles, tiling_of
from cvtk.errors import CvtkError
from cvtk.exported.kinds import Arrays
from cvtk.exported.opening import open_file
from cvtk.exported.pixels import Size, fit, mask_of_box, mask_of_image
from cvtk.io import CocoRLE, encode_mask
from cvtk.results import Result


def _cut(picture: Picture, tile: Tile) -> Picture:
    """A tile of an image as an image of its own."""
    part = picture.bgr[tile.top : tile.bottom, tile.left : tile.right]
    return Picture(picture.source, part, None)


class ExportedPredictor(AnyPredictor):
    """An exported model, ready to predict; see `cvtk.engine.predict.Predictor`.

    Args:
        spec: A model whose weights are an exported file.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        CvtkError: The file cannot be run; see `open_file`.
    """

    def __init__(self, spec: ModelSpec, device: str) -> None:
        assert spec.weights is not None
        self.spec = spec
        self.file = open_file(spec.weights, device)
        self.about = self.file.description

    @property
    def thresholds(self) -> Thresholds:
        """The scores to cut at, as the file says; on which images they were chosen, it does not."""
        about = self.about
        note = (
            f"The scores to cut at are those that {self.spec.weights} was exported with. If they were chosen on these"
            " images, expect lower precision, recall and F1 on others."
        )
        scores = dict.fromkeys(about.classes, about.score) | about.class_scores
        return Thresholds(scores, about.score, [note])

    def least_scores(self, score: float | None) -> list[float]:
        """The lowest score to keep of each class: given, or as the file says."""
        if score is not None:
            return [score] * len(self.about.classes)
        return [self.thresholds.by_class[name] for name in self.about.classes]

    @property
    def reading(self) -> Reading:
        """How image files are read, as they were in the training."""
        about = self.about
        return Reading(about.intensity, about.page, tuple(about.channels))

    def tiling(self, options: TiledOptions) -> Tiling | None:
        """How the options cut images for this network; see `cvtk.engine.tiling.tiling_of`."""
        return tiling_of(options, self._size_seen)

    def _size_seen(self) -> tuple[int, str]:
        """The size of tiles as in training, and why."""
        if self.about.tile is not None:
            return self.about.tile, "as the exported model says"
        return min(self.about.image.scale), "the size of the network's input"

    def stream(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
        broken: Callable[[ImageSource, CvtkError], None] | None = None,
    ) -> Iterator[tuple[Picture, Result]]:
        """Yields each image with what is found in it, one at a time; see `AnyPredictor.stream`."""
        least = np.array(self.least_scores(score))
        lowest = max(float(least.min()), self.about.lowest_score)

        def found(pictures: list[Picture]) -> list[Result]:
            return [self._find(picture, lowest, least) for picture in pictures]

        ahead = READERS if tiling is None else 1  # those that are cut are large
        for picture in read_ahead(self.read, images, broken, ahead=ahead):
            if tiling is None:
                yield picture, self._find(picture, lowest, least)
            else:
                yield picture, predict_in_tiles(_cut, picture, tiling, 1, found)

    def _find(
        self, picture: Picture, lowest: float, least: NDArray[np.float64]
    ) -> Result:
        fitted, scale = fit(picture.pixels, self.about.image)
        return self._result(self.file.run(fitted, lowest), picture, scale, least)

    def read(self, source: ImageSource) -> Picture:
        """An image as it is displayed."""
        pixels = source.pixels
        if pixels is None:
            pixels = read_image(source.path, source.reading or self.reading)
        return Picture(source, pixels[..., ::-1], None)

    def _result(
        self,
        found: Arrays,
        picture: Picture,
        scale: tuple[float, float],
        least: NDArray[np.float64],
    ) -> Result:
        """What the network gave, in pixels of the image."""
        height, width = picture.bgr.shape[:2]
        corners = found["boxes"].astype(np.float64) / (*scale, *scale)
        keep = found["scores"] >= least[found["labels"]]
        masks = None
        if "masks" in found:
            size = (width, height)
            masks = self._masks(found["masks"][keep], corners[keep], scale, size)
        return Result(
            path=picture.source.path,
            name=picture.source.name,
            seconds=picture.source.seconds,
            reading=picture.source.reading or self.reading,
            height=height,
            width=width,
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
