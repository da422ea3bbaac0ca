"""A model in Python: train, evaluate and predict, as the scripts do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvtk.declare import takes
from cvtk.errors import ModelError
from cvtk.exported.options import ExportOptions
from cvtk.log import show_messages
from cvtk.options import (
    EvaluateOptions,
    InferenceOptions,
    NextOptions,
    PathLike,
    PredictOptions,
    TrainOptions,
)

if TYPE_CHECKING:
    from cvtk.analysis.evaluation import Evaluation
    from cvtk.engine.next_images import NextImage
    from cvtk.engine.streaming import AnyPredictor
    from cvtk.results import Result


def create_model(
    model: PathLike = "",
    labels: PathLike | Sequence[str] | None = None,
    task: str | None = None,
    *,
    trust_weights: bool = False,
) -> Model:
    """Makes a model from an architecture, or from weights that were trained before.

    Args:
        model: A name from `cvtk models`, a configuration file of MMDetection (.py), or
            weights (.pth) with their configuration beside them, or an exported model (.onnx), which
            needs no MMDetection. Mask R-CNN where left out.
        labels: A label file, or the class names themselves; weights know theirs.
        task: "segm" for masks and boxes, "det" for boxes; an architecture knows its own.
        trust_weights: Whether weights and their configuration may run code as they are opened.

    Raises:
        ModelError: No such architecture or weights, or no labels.
        InstallError: MMDetection is not installed, or for an exported model onnxruntime.
    """
    return Model(model, labels, task, trust_weights)


class Model:
    """An architecture with its classes, and weights once there are some.

    Attributes:
        spec: What it is made of; see `cvtk.engine.spec.ModelSpec`.
    """

    def __init__(
        self,
        model: PathLike = "",
        labels: PathLike | Sequence[str] | None = None,
        task: str | None = None,
        trust_weights: bool = False,
    ) -> None:
        from cvtk.engine.spec import make_spec

        show_messages()
        self.spec = make_spec(model, labels, task, trust_weights)
        self._predictors: dict[str, AnyPredictor] = {}  # by device, kept between calls

    @property
    def name(self) -> str:
        """The architecture or the file that it was made from."""
        return self.spec.name

    @property
    def task(self) -> str:
        """What it finds: masks and boxes ("segm"), or boxes ("det")."""
        return self.spec.task

    @property
    def classes(self) -> list[str]:
        """Class names in their order."""
        return self.spec.classes

    @property
    def category_ids(self) -> list[int]:
        """COCO id of each class."""
        return self.spec.category_ids

    @property
    def config(self) -> Path:
        """The file of its configuration."""
        return self.spec.config

    @property
    def weights(self) -> Path | None:
        """The file of its weights; None before training."""
        return self.spec.weights

    def __repr__(self) -> str:
        state = f"weights {self.weights}" if self.weights else "not trained"
        return f"<Model {self.name} for {', '.join(self.classes)}: {state}>"

    @takes(TrainOptions)
    def train(self, options: TrainOptions) -> dict[str, Any] | None:
        """Trains; afterwards the model has the weights of the best epoch.

        Returns:
            The statistics of the test set, None without one. With `folds`, those of all images, each predicted
            by a model that has not seen it; the model itself has weights then only with `final`. With `fold`, None
            until all folds are there.

        Raises:
            CvtkError: Data, weights or options that cannot be used; the message says why.
        """
        from cvtk.engine.train import train

        if self.spec.is_exported:
            raise ModelError(
                f"{self.name} is an exported model, which cannot learn.",
                "Train from the weights that it was exported from: weights='NAME.pth'.",
            )
        self._predictors.clear()
        if options.is_repeated:
            from cvtk.engine.repeats.train import train_repeatedly

            self.spec, statistics = train_repeatedly(self.spec, options)
        else:
            self.spec, statistics = train(self.spec, options)
        return statistics

    @takes(EvaluateOptions)
    def evaluate(self, options: EvaluateOptions) -> Evaluation:
        """COCO's AP and AR of the weights on an annotated set, overall and by class.

        Returns:
            `stats` and `class_stats`; for masks also `bbox_stats` and `bbox_class_stats`. Its `study` has all that
            is known beside, and a notebook shows it as tables.

        Raises:
            CvtkError: The weights or the data cannot be used.
        """
        from cvtk.engine.evaluate import evaluate

        return evaluate(self._predictor(options.device, options.tta), options)

    @takes(PredictOptions)
    def predict(self, options: PredictOptions) -> Iterator[Result]:
        """Yields what is found in each image; memory stays flat however many there are.

        `data` may also be a NumPy array (H, W, 3) in RGB, a Pillow image, or a list of those or of paths.

        Raises:
            ModelError: The model is not trained yet.
            FileError: An image is missing.
            DataError: An image cannot be read.
        """
        from cvtk.data.sources import find_inputs, frames_of
        from cvtk.data.videos import Video

        predictor = self._predictor(options.device, options.tta)
        reading = predictor.reading.with_choices(options.page, options.channels)
        inputs = find_inputs(options.data, reading)
        images = frames_of(inputs) if isinstance(inputs, Video) else inputs
        results = predictor.predict(
            images, options.batch_size, options.score, predictor.tiling(options)
        )
        for result in results:
            yield result.best(options.top_k)

    @takes(InferenceOptions)
    def predict_to_files(self, options: InferenceOptions) -> Path:
        """Draws what is found in each image, and writes it all to `instances.json`.

        An image that cannot be read is reported and left out; the error comes when all others are complete.

        Returns:
            The COCO file.

        Raises:
            CvtkError: The weights or an image cannot be used, or a result would replace a file.
        """
        from cvtk.engine.inference import predict_to_files

        return predict_to_files(self._predictor(options.device, options.tta), options)

    @takes(NextOptions)
    def choose_next(self, options: NextOptions) -> list[NextImage]:
        """Chooses the images to label next: those that the model is unsure of, and that differ from each other.

        An image counts for the entropy of the scores of its objects, times how different it looks from the most
        similar image that is labelled or was chosen before it. Near-duplicates are left out.

        Returns:
            The images with the reasons, the first choice first.

        Raises:
            CvtkError: The weights cannot be used, or there is no image to choose.
        """
        from cvtk.engine.next_images import choose_next

        return choose_next(self._predictor(options.device, options.tta), options)

    @takes(ExportOptions)
    def export(self, options: ExportOptions) -> Path:
        """Writes the weights as a file that runs without PyTorch and MMDetection, and an example that uses it.

        Returns:
            The exported file.

        Raises:
            CvtkError: The model is not trained yet, its architecture cannot be exported, or a file exists.
        """
        if self.spec.is_exported:
            raise ModelError(
                f"{self.name} is exported already.", "Export the weights, NAME.pth."
            )
        from cvtk.engine.export.export import export

        return export(self.spec, options)

    def _predictor(self, device: str, tta: bool = False) -> AnyPredictor:
        from cvtk.engine.predictors import open_predictor

        if device not in self._predictors:
            self._predictors[device] = open_predictor(self.spec, device)
        predictor = self._predictors[device]
        return predictor.augmented() if tta else predictor
