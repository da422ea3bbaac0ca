"""Large images through a network in tiles: at the size that training saw, with memory that stays flat."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cvtk.data.coco import read_images
from cvtk.data.images import in_parallel
from cvtk.data.tiles import Tile, tiles_of
from cvtk.engine.seams import Piece, as_result, merge, pieces_of
from cvtk.engine.spec import ModelSpec
from cvtk.errors import CvtkError, OptionError
from cvtk.log import logger
from cvtk.recipe.nodes import each_dict
from cvtk.results import Result

if TYPE_CHECKING:
    from cvtk.engine.pictures import Picture


@dataclass(frozen=True)
class Tiling:
    """How images are cut: see `cvtk.data.tiles.tiles_of`.

    Attributes:
        size: Of the tiles, in pixels.
        overlap: What neighbours share at least, from 0 to below 1.
    """

    size: int
    overlap: float


class TiledOptions(Protocol):
    """Options that have a size of tiles."""

    @property
    def tile(self) -> Any:
        """Pixels, "auto" or None."""

    @property
    def overlap(self) -> float:
        """What neighbours share at least."""


def tiling_of(
    options: TiledOptions, size_seen: Callable[[], tuple[int, str]]
) -> Tiling | None:
    """How images are cut; None where they are not.

    Args:
        options: What the user asked for.
        size_seen: Tells the size of tiles as in training, and why; asked for that alone.
    """
    if options.tile is None:
        return None
    if options.tile != "auto":
        return Tiling(options.tile, options.overlap)
    size, source = size_seen()
    logger.info(f"Tiles of {size} pixels: {source}.")
    return Tiling(size, options.overlap)


def size_seen(spec: ModelSpec, cfg: Any) -> tuple[int, str]:
    """The size of tiles in which objects look as large to the network as they did in training, and why.

    A tile is scaled to the network's input as an image is. Where the images of the training are known, the tile is
    such that it is scaled by as much as they were; else such that it is not scaled at all.

    Raises:
        OptionError: The configuration scales no images.
    """
    pipeline = cfg.test_dataloader.dataset.pipeline
    named: list[Any] = [part.get("scale") for part in each_dict(list(pipeline))]
    scales = [s for s in named if isinstance(s, (tuple, list)) and len(s) == 2]
    if not scales:
        raise OptionError(
            "--tile cannot be auto: the configuration of the weights does not say how images are scaled.",
            "Name a size in pixels.",
        )
    long, short = max(scales[0]), min(scales[0])
    sides = _sides_of_training(spec, cfg)
    if not sides:
        return int(short), "the size of the network's input"
    factors = [min(long / max(size), short / min(size)) for size in sides]
    size = round(short / statistics.median(factors))
    return size, "objects are as large in them as they were in training"


def _sides_of_training(spec: ModelSpec, cfg: Any) -> list[tuple[int, int]]:
    """The sizes in pixels of the images of the training; empty where its annotations are gone."""
    named = [part.get("ann_file") for part in each_dict(cfg.train_dataloader.dataset)]
    files = [Path(name) for name in named if isinstance(name, str)]
    if spec.weights is not None:
        files.append(spec.weights.with_suffix("") / "used_train.json")
    for file in files:
        try:
            sizes = [image.size for image in read_images(file).images]
        except CvtkError:
            continue
        return [size for size in sizes if size is not None]
    return []


class Network(Protocol):
    """What predicts a batch of prepared images."""

    def __call__(self, pictures: list[Picture]) -> list[Result]:
        """A result for each."""


def predict_in_tiles(
    cut: Callable[[Picture, Tile], Picture],
    picture: Picture,
    tiling: Tiling,
    batch_size: int,
    network: Network,
) -> Result:
    """What is found in an image that goes through the network tile by tile.

    Args:
        cut: Cuts a tile out of it, and prepares it; called in threads.
        picture: The image, read.
        tiling: How it is cut.
        batch_size: Tiles that the network sees at once.
        network: Predicts them.
    """
    height, width = picture.bgr.shape[:2]
    tiles = tiles_of(width, height, tiling.size, tiling.overlap)
    found = in_parallel(
        lambda tile: (tile, cut(picture, tile)),
        tiles,
        workers=2,
        ahead=batch_size + 2,
    )
    pieces: list[Piece] = []
    for tile, result in _predicted(found, batch_size, network):
        pieces += pieces_of(result, tile, height, width)
    return as_result(merge(pieces, tiles, height, width), result, height, width)


def _predicted(
    found: Iterator[tuple[Tile, Picture]], batch_size: int, network: Network
) -> Iterator[tuple[Tile, Result]]:
    while batch := list(islice(found, batch_size)):
        results = network([picture for _, picture in batch])
        for (tile, _), result in zip(batch, results, strict=True):
            yield tile, result
