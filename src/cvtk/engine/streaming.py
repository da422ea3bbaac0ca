"""What all that predicts has in common: images are read ahead, and results come one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from cvtk.analysis.thresholds import Thresholds
from cvtk.data.images import in_parallel
from cvtk.data.reading import Reading
from cvtk.data.sources import ImageSource
from cvtk.data.videos import Video
from cvtk.engine.pictures import Picture
from cvtk.engine.spec import ModelSpec
from cvtk.errors import CvtkError, OptionError
from cvtk.results import Result

if TYPE_CHECKING:
    from cvtk.engine.tiling import TiledOptions, Tiling

T = TypeVar("T")

READERS = 2  # threads that decode and prepare images


class AnyPredictor(ABC):
    """A model, ready to predict: trained weights, or an exported file.

    Attributes:
        spec: The model.
    """

    spec: ModelSpec

    @property
    def thresholds(self) -> Thresholds | None:
        """The scores to cut at, with how they were chosen; None where that is not known."""
        return None

    @property
    def object_limit(self) -> int | None:
        """The most objects that the network gives for one image; None where that is not known."""
        return None

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """How image files are read, as they were in the training."""

    @abstractmethod
    def least_scores(self, score: float | None) -> list[float]:
        """The lowest score to keep of each class, in their order.

        Args:
            score: One for all, 0 to 1; None takes those of the model.
        """

    @abstractmethod
    def tiling(self, options: TiledOptions) -> Tiling | None:
        """How the options cut images for this network.

        Raises:
            OptionError: It cannot be done.
        """

    def augmented(self) -> AnyPredictor:
        """The same model, which sees each image several times.

        Raises:
            OptionError: It cannot.
        """
        raise OptionError(
            f"--tta: {self.spec.name} is an exported model, which sees an image once.",
            "Use the weights that it was exported from.",
        )

    def require_usable(  # noqa: B027 - most models take any image
        self, inputs: Sequence[ImageSource] | Video
    ) -> None:
        """Refuses images that lack something that this model needs of each.

        Raises:
            DataError: They do.
        """

    def given_with(self, inputs: Sequence[ImageSource] | Video) -> dict[str, Any]:
        """What the results depend on besides images, weights and options: by its name, as JSON can hold it."""
        return {}

    @property
    def is_augmented(self) -> bool:
        """Whether each image is seen several times."""
        return False

    @abstractmethod
    def stream(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
        broken: Callable[[ImageSource, CvtkError], None] | None = None,
    ) -> Iterator[tuple[Picture, Result]]:
        """Yields each image with what is found in it; the next ones are read meanwhile.

        Args:
            images: In the order of the results.
            batch_size: Images, or tiles of one, that the network sees at once, if it can.
            score: Lowest score to keep, 0 to 1; None: see `least_scores`.
            tiling: How images are cut; None where they are not.
            broken: Called with an image that cannot be read, which is then left out.

        Raises:
            DataError: An image cannot be read, and `broken` is None.
        """

    def predict(
        self,
        images: Iterable[ImageSource],
        batch_size: int,
        score: float | None,
        tiling: Tiling | None = None,
    ) -> Iterator[Result]:
        """Yields what is found in each image. Takes and raises what `stream` does."""
        for picture, result in self.stream(images, batch_size, score, tiling):
            # What lies in a file is read again when it is asked for: results may be kept by the thousand.
            yield replace(result, pixels=picture.source.pixels)


def read_ahead(
    read: Callable[[ImageSource], T],
    images: Iterable[ImageSource],
    broken: Callable[[ImageSource, CvtkError], None] | None,
    *,
    ahead: int,
) -> Iterator[T]:
    """Reads images in threads, a few ahead of what is taken, in order.

    Args:
        read: Reads one.
        images: Which.
        broken: Called with an image that cannot be read, which is then left out; None: the error is raised.
        ahead: How many.
    """

    def attempt(source: ImageSource) -> tuple[ImageSource, T | CvtkError]:
        try:
            return source, read(source)
        except CvtkError as error:
            return source, error

    workers = min(READERS, ahead)
    for source, found in in_parallel(attempt, images, workers=workers, ahead=ahead):
        if not isinstance(found, CvtkError):
            yield found
        elif broken is None:
            raise found
        else:
            broken(source, found)
