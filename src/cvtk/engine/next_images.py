"""Chooses the images of a pool to label next; see `cvtk.analysis.next_images`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvtk.analysis.next_images import NOBODY, pick
from cvtk.analysis.uncertainty import LOWEST_SCORE, entropies, told_apart
from cvtk.data.images import in_parallel, read_image
from cvtk.data.looks import Look, look_of
from cvtk.data.reading import Reading
from cvtk.data.sources import ImageSource, find_inputs, list_images
from cvtk.data.videos import Video
from cvtk.engine.progress import Progress
from cvtk.engine.streaming import AnyPredictor
from cvtk.errors import CvtkError, DataError, FileError
from cvtk.io import require_free
from cvtk.log import logger
from cvtk.options import NextOptions
from cvtk.results import Result, write_instances
from cvtk.words import counted

# An object that counts this much (scores from 0.2 to 0.8) is named as unsure.
UNSURE_BITS = 0.7


@dataclass(frozen=True)
class NextImage:
    """An image to label next, and why.

    Attributes:
        path: The file.
        name: What it is called: relative to the folder of the pool.
        uncertainty: The entropy of the scores of its objects, summed, in bits; see
            `cvtk.analysis.uncertainty.uncertainty`.
        objects: How many objects with a score of at least 0.1 are found in it, each place counted once.
        unsure: How many of them, by class, have a score from 0.2 to 0.8.
        difference: From 0 to 1: how different it looks from the most similar image that is labelled already or
            was chosen before it; 1 where there is none.
        nearest: The name of that image; empty where there is none.
    """

    path: Path
    name: str
    uncertainty: float
    objects: int
    unsure: dict[str, int]
    difference: float
    nearest: str

    @property
    def reason(self) -> str:
        """What the model is unsure of, in words."""
        if not self.objects:
            told = "nothing is found in it"
        elif not self.unsure:
            told = f"{counted(self.objects, 'object')}, not very unsure"
        else:
            classes = ", ".join(f"{name} {n}" for name, n in self.unsure.items())
            told = f"unsure of {sum(self.unsure.values())} of {self.objects} objects: {classes}"
        return told


@dataclass(frozen=True)
class _Seen:
    """What is kept of a predicted image: little, since a pool may have 100,000."""

    source: ImageSource
    look: Look
    uncertainty: float
    objects: int
    unsure: dict[str, int]


def choose_next(predictor: AnyPredictor, options: NextOptions) -> list[NextImage]:
    """Predicts all images of the pool, and chooses; images that cannot be read are reported and left out.

    Returns:
        The images, the first choice first.

    Raises:
        FileError: There is no such image, or all of the pool are labelled already.
        DataError: No image can be read, or the pool is a video.
    """
    if options.predictions is not None:
        require_free(Path(options.predictions), force=options.force)
    inputs = find_inputs(options.pool)
    if isinstance(inputs, Video):
        raise DataError(
            f"{inputs.path} is a video.",
            "Save the frames in question as images, and name their folder.",
        )
    labelled = [] if options.labelled is None else list_images(options.labelled)
    known = {image.path.resolve() for image in labelled}
    pool = [
        image
        for image in inputs
        if image.pixels is not None or image.path.resolve() not in known
    ]
    if not pool:
        raise FileError(
            f"All {len(inputs)} images of the pool are labelled already.",
            "Name a folder with others.",
        )
    seen = _predict(predictor, pool, options)
    looks = [image.look for image in seen]
    names = [image.source.name for image in seen] + [image.name for image in labelled]
    picks = pick(
        [image.uncertainty for image in seen],
        looks,
        _looks_of(labelled, predictor.reading),
        options.count,
    )
    if len(picks) < options.count:
        logger.warning(
            f"Only {len(picks)} of {len(pool)} images are chosen: the others are near-duplicates of these"
            f"{' or of labelled ones' if labelled else ''}."
        )
    if options.predictions is not None:
        chosen = [seen[pick.index].source for pick in picks]
        _write_predictions(predictor, chosen, options)
    return [
        NextImage(
            path=seen[chosen.index].source.path,
            name=seen[chosen.index].source.name,
            uncertainty=seen[chosen.index].uncertainty,
            objects=seen[chosen.index].objects,
            unsure=seen[chosen.index].unsure,
            difference=chosen.difference,
            nearest="" if chosen.nearest == NOBODY else names[chosen.nearest],
        )
        for chosen in picks
    ]


def _write_predictions(
    predictor: AnyPredictor, images: Sequence[ImageSource], options: NextOptions
) -> None:
    """Writes what is found in the chosen images, above the scores that also count for `inference`."""
    results = predictor.predict(
        images, options.batch_size, options.score, predictor.tiling(options)
    )
    spec, file = predictor.spec, Path(str(options.predictions))
    count = write_instances(
        file, results, spec.classes, spec.category_ids, force=options.force
    )
    logger.info(f"{count} objects in {len(images)} images: {file}")


def _predict(
    predictor: AnyPredictor, pool: Sequence[ImageSource], options: NextOptions
) -> list[_Seen]:
    """What the model makes of each image of the pool that can be read."""
    predictor.require_usable(pool)
    progress = Progress(len(pool))

    def report(image: ImageSource, error: CvtkError) -> None:
        progress.clear()
        logger.warning(f"{error.message} It is left out.")
        progress.step()

    found = []
    tiling = predictor.tiling(options)
    for picture, result in predictor.stream(
        pool, options.batch_size, LOWEST_SCORE, tiling, report
    ):
        found.append(_seen(picture.source, look_of(picture.pixels), result))
        progress.step()
    progress.clear()
    if not found:
        raise DataError("No image of the pool can be read.", "Mend them.")
    return found


def _seen(source: ImageSource, look: Look, result: Result) -> _Seen:
    result = told_apart(result)
    bits = entropies(result.scores)
    is_unsure = bits > UNSURE_BITS
    unsure = Counter(
        name for name, yes in zip(result.names, is_unsure, strict=True) if yes
    )
    return _Seen(
        source, look, float(bits.sum()), len(result), dict(unsure.most_common())
    )


def _looks_of(images: Sequence[ImageSource], reading: Reading) -> list[Look]:
    """How the labelled images look, scaled as those of the pool are."""

    def look(image: ImageSource) -> Look:
        pixels = image.pixels
        return look_of(read_image(image.path, reading) if pixels is None else pixels)

    return list(in_parallel(look, images))
