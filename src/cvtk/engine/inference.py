"""Inference to files: pictures are drawn and written while the network works on the next ones."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvtk.data.images import in_parallel
from cvtk.data.predictions import Found, categories_of
from cvtk.data.sources import ImageSource, find_inputs, frames_of
from cvtk.data.videos import Video
from cvtk.engine.drawings import Drawings, DrawnVideo, NoDrawings, PictureFiles
from cvtk.engine.journal import (
    Journal,
    fingerprint,
    require_not_stopped,
    require_same_images,
)
from cvtk.engine.progress import Progress
from cvtk.engine.streaming import AnyPredictor
from cvtk.errors import CvtkError, DataError, FileError, OptionError
from cvtk.io import IMAGE_SUFFIXES, require_free
from cvtk.log import logger
from cvtk.options import InferenceOptions
from cvtk.results import Result, found_in

WRITERS = 2  # threads that draw and write pictures
NAMED = 5  # broken images that the last message names

Predicted: TypeAlias = tuple[ImageSource, NDArray[np.uint8], Result]
"""An image, its pixels in RGB, and what was found in it."""


def predict_to_files(predictor: AnyPredictor, options: InferenceOptions) -> Path:
    """Draws what is found in each image, and writes it all to `instances.json`.

    What is found is noted on disk image by image, so that memory stays flat, and `resume` goes on after a run that
    was stopped. An image that cannot be read is reported and left out.

    Returns:
        The COCO file.

    Raises:
        DataError: Images could not be read; the others are complete.
        FileError: A result would replace a file.
    """
    reading = predictor.reading.with_choices(options.page, options.channels)
    inputs = find_inputs(options.data, reading)
    predictor.require_usable(inputs)
    file, outputs = output_files(Path(options.output), inputs)
    if options.resume and not options.force and file.is_file():
        logger.info(f"{file} is complete: there is nothing to resume.")
        return file
    if not (options.resume or options.force):
        require_not_stopped(file.parent)
    if isinstance(inputs, Video):
        read = {inputs.path}
    else:
        read = {image.path for image in inputs if image.pixels is None}
    video = outputs[0]
    if options.draw == "no":
        outputs = []
    require_not_read([file, *outputs], options.data, read)
    require_free(file, force=options.force)
    for output in outputs:
        require_free(output, force=options.force or options.resume)
    if options.score is None and predictor.thresholds is not None:
        chosen = predictor.thresholds
        # An exported model knows the scores, but not what they were chosen on.
        where = f", chosen on {chosen.file}" if chosen.file else ""
        logger.info(
            f"Scores to cut at{where}: {chosen.words()}. --score X takes one for all."
        )
    run = _Run(predictor, options, file.parent, predictor.given_with(inputs))
    with closing(run.journal):
        if isinstance(inputs, Video):
            run.predict_video(inputs, video)
        else:
            run.predict_images(inputs)
        return run.finish(file)


def output_files(
    output: Path, inputs: Video | Sequence[ImageSource]
) -> tuple[Path, list[Path]]:
    """The COCO file and the drawings: in a folder, or by the name of the drawing of one image.

    Raises:
        OptionError: `output` is one picture, and there are several images.
    """
    file = output / "instances.json"
    is_picture = output.suffix.lower() in IMAGE_SUFFIXES and not output.is_dir()
    if isinstance(inputs, Video):
        return file, [output / f"{inputs.path.stem}.mp4"]
    if not is_picture:
        return file, [output / image.name for image in inputs]
    if len(inputs) > 1:
        raise OptionError(
            f"--output {output} is one picture, and there are {len(inputs)} images.",
            "Name a folder.",
        )
    return output.with_suffix(".json"), [output]


def require_not_read(
    outputs: Iterable[Path], data: Any, images: Iterable[Path]
) -> None:
    """Checks that no result would take the place of what is read.

    Args:
        outputs: The files to write.
        data: What the user named; a file of it is read too.
        images: The files that are read.

    Raises:
        FileError: One would.
    """
    inputs = {image.resolve() for image in images}
    if isinstance(data, (str, Path)):
        inputs.add(Path(data).resolve())
    for output in outputs:
        if output.resolve() in inputs:
            raise FileError(
                f"{output} is among what is read, and a result would replace it.",
                "Choose another --output.",
            )


class _Run:
    """One inference: what it has done, and what went wrong.

    Attributes:
        journal: What was found so far.
    """

    def __init__(
        self,
        predictor: AnyPredictor,
        options: InferenceOptions,
        folder: Path,
        given: dict[str, Any],
    ) -> None:
        self._predictor = predictor
        self._options = options
        self._broken: list[ImageSource] = []
        self._total = 0
        self._full = 0  # images with as many objects as the network gives
        self._progress = Progress(0)
        spec = predictor.spec
        assert spec.weights is not None
        self._tiling = predictor.tiling(options)
        depends_on = {
            "weights": fingerprint(spec.weights),
            "score": predictor.least_scores(options.score),
            "top_k": options.top_k,
            "draw": options.draw,
            "page": options.page,
            "channels": options.channels,
            "tta": options.tta,
            "tile": self._tiling and self._tiling.size,
            "overlap": self._tiling and self._tiling.overlap,
            **given,
        }
        self.journal = Journal(folder, depends_on)

    def predict_images(self, images: Sequence[ImageSource]) -> None:
        """Predicts all images that are not done yet, and draws each."""
        done = self._begin(len(images))
        require_same_images(images, done, self.journal.path)
        options = self._options
        left = [image for image in images if image.name not in done]
        self._progress = Progress(len(left))
        drawings: Drawings = NoDrawings()
        if options.draw != "no":
            force = options.force or options.resume
            drawings = PictureFiles(Path(options.output), options.draw, force=force)
        self._draw(self._predicted(left), drawings, done)

    def predict_video(self, video: Video, file: Path) -> None:
        """Predicts all frames that are not done yet, and draws all into a video."""
        done = self._begin(video.count)
        frames = frames_of(video)

        def found() -> Iterator[Predicted]:
            for entry, frame in zip(self.journal.entries(), frames, strict=False):
                noted = {entry[0]["file_name"]: entry[0]["id"]}
                require_same_images([frame], noted, self.journal.path)
                assert frame.pixels is not None
                yield frame, frame.pixels, self._result_of(entry, frame)
            yield from self._predicted(frames)

        options, self._progress = self._options, Progress(video.count)
        if options.draw == "no":
            self._draw(found(), NoDrawings(), done)
        else:
            force = options.force or options.resume
            with DrawnVideo(video, file, options.draw, force=force) as drawings:
                self._draw(found(), drawings, done)
        if self._progress.done < video.count:
            logger.warning(
                f"{video.path} says that it has {video.count} frames, but {self._progress.done} can be read."
            )

    def _begin(self, total: int) -> dict[str, Any]:
        """Opens the journal; the names of the images that are done, with their ids."""
        done = self.journal.open(force=self._options.force)
        if done:
            logger.info(f"Goes on after {len(done)} of {total} images.")
        self._total = total
        return done

    def _predicted(self, images: Iterable[ImageSource]) -> Iterator[Predicted]:
        options = self._options
        stream = self._predictor.stream(
            images, options.batch_size, options.score, self._tiling, self._report
        )
        # Of a tile or a view the network gives so many, and of the whole image more.
        parts = self._tiling or self._predictor.is_augmented
        limit = None if parts else self._predictor.object_limit
        for picture, result in stream:
            self._full += limit is not None and len(result) >= limit
            best = result.best(options.top_k)
            yield picture.source, picture.pixels, best

    def _report(self, image: ImageSource, error: CvtkError) -> None:
        """Says that an image cannot be read, and goes on."""
        self._broken.append(image)
        self._progress.clear()
        logger.warning(f"{error.message} It is left out.")
        self._progress.step()

    def _draw(
        self, found: Iterable[Predicted], drawings: Drawings, done: dict[str, Any]
    ) -> None:
        """Draws in threads, and notes in order what is drawn."""

        def draw(predicted: Predicted) -> tuple[ImageSource, Result, Any]:
            source, pixels, result = predicted
            return source, result, drawings.draw(result, pixels)

        # Images in tiles are large, and the batch is one of tiles.
        ahead = 1 if self._tiling else WRITERS + self._options.batch_size
        for source, result, drawn in in_parallel(
            draw, found, workers=WRITERS, ahead=ahead
        ):
            drawings.write(drawn)
            if source.name not in done:
                self.journal.add(found_in(result, source.id))
            self._progress.step()

    def _result_of(self, found: Found, frame: ImageSource) -> Result:
        """What was noted of a frame, as a result again."""
        spec = self._predictor.spec
        image, objects = found
        labels = [spec.category_ids.index(item["category_id"]) for item in objects]
        masks = [item["segmentation"] for item in objects if "segmentation" in item]
        return Result(
            path=frame.path,
            name=frame.name,
            height=image["height"],
            width=image["width"],
            classes=tuple(spec.classes),
            category_ids=tuple(spec.category_ids),
            labels=np.array(labels),
            scores=np.array([item["score"] for item in objects]),
            bboxes=np.array([item["bbox"] for item in objects]),
            masks=masks if spec.task == "segm" else None,
            seconds=frame.seconds,
        )

    def finish(self, file: Path) -> Path:
        """Writes the COCO file, and says what is in it.

        Raises:
            DataError: Images could not be read.
        """
        spec, progress = self._predictor.spec, self._progress
        progress.clear()
        left_out = _left_out(self._broken, self._total)
        if self._broken and len(self._broken) == self._total:
            raise DataError(f"{left_out} There are no results.", "Mend them.")
        categories = categories_of(spec.classes, spec.category_ids)
        force = self._options.force
        count = self.journal.finish(file, categories, force=force)
        took = datetime.timedelta(seconds=round(progress.seconds))
        least = self._predictor.least_scores(self._options.score)
        reached = "the score of their class"
        if len({*least}) == 1:
            reached = f"a score of {least[0]:.3g}"
        places = f"{file}, and the drawings beside it"
        if self._options.draw == "no":
            places = str(file)
        logger.info(f"{count} objects that reach {reached}: see {places}.")
        logger.info(
            f"{progress.done} images in {took} ({progress.rate:.2f} per second)."
        )
        if self._full:
            limit = self._predictor.object_limit
            images = "1 image has" if self._full == 1 else f"{self._full} images have"
            logger.warning(
                f"{images} {limit} objects, the most that the model returns: there may be more."
                " --tile finds them tile by tile."
            )
        if self._broken:
            raise DataError(
                f"{left_out} The others are complete: see {file}.",
                "Mend them and predict them by themselves, or leave them out.",
            )
        return file


def _left_out(broken: Sequence[ImageSource], total: int) -> str:
    """The sentence about images that cannot be read; empty where all can."""
    if not broken:
        return ""
    names = [str(image.path) for image in broken[:NAMED]]
    if len(broken) > NAMED:
        names.append(f"and {len(broken) - NAMED} more")
    return f"{len(broken)} of {total} images cannot be read and are left out: {', '.join(names)}."
