"""A model in Python: train, evaluate and predict, as the scripts do."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvtk.config import DEFAULTS, MODELS, SETTINGS
from cvtk.errors import CvtkError, FileError, InstallError, ModelError
from cvtk.files import written_whole
from cvtk.quiet import quiet

if TYPE_CHECKING:
    from cvtk.results import Result

PathLike = str | Path


def create_model(
    model: PathLike = "",
    labels: PathLike | Sequence[str] | None = None,
    task: str | None = None,
    *,
    trust_weights: bool = DEFAULTS["trust_weights"],
) -> Model:
    """Makes a model from an architecture, or from weights that were trained before.

    Args:
        model: A name from `cvtk models`, a configuration file of MMDetection (.py), or
            weights (.pth) with their configuration beside them. Mask R-CNN where left out.
        labels: A label file, or the class names themselves; weights know theirs.
        task: "segm" for masks and boxes, "det" for boxes; an architecture knows its own.
        trust_weights: Whether a file of weights may hold anything, and so run code.

    Raises:
        ModelError: No such architecture or weights, or no labels.
        InstallError: MMDetection is not installed.
    """
    return Model(model, labels, task, trust_weights)


class Model:
    """An architecture with its classes, and weights once there are some.

    Attributes:
        name: The architecture or the file that it was made from.
        classes: Class names in their order.
        task: "segm" or "det".
        weights: The file of the weights; None before training.
    """

    def __init__(
        self,
        model: PathLike = "",
        labels: PathLike | Sequence[str] | None = None,
        task: str | None = None,
        trust_weights: bool = DEFAULTS["trust_weights"],
    ) -> None:
        require_mmdet()
        self.trust_weights = trust_weights
        self.name = str(model) or MODELS[task or "segm"]
        self.classes: list[str]
        self.task: str
        self.weights: Path | None = None
        self._networks: dict[str, Any] = {}  # by device, kept between calls
        if self.name.endswith(".pth"):
            self._open(Path(self.name))
            if labels is not None and _names(labels) != self.classes:
                raise ModelError(
                    f"{self.name} was trained for {self.classes}, not {_names(labels)}.",
                    "Leave the labels out, or name the classes in that order.",
                )
            return
        from cvtk import zoo

        if labels is None:
            raise ModelError(
                f"{self.name} needs to know your classes.",
                "Name a label file: labels=...",
            )
        entry = zoo.find(self.name, task)
        self.config, self.classes = entry.config, _names(labels)
        self.task = task or entry.task
        self.category_ids = list(range(1, len(self.classes) + 1))

    def _open(self, weights: Path) -> None:
        from mmengine.config import Config

        if not weights.is_file():
            raise FileError(
                f"There are no weights at {weights}.", "Check the path, or train first."
            )
        self.config = weights.with_suffix(".py")
        if not self.config.is_file():
            raise FileError(
                f"{weights} needs its configuration beside it: {self.config} is missing.",
                "Keep the two files together.",
            )
        data = Config.fromfile(self.config)
        meta = data.test_dataloader.dataset.metainfo
        self.weights, self.classes = weights, list(meta.classes)
        self.category_ids = list(
            meta.get("category_ids", range(1, len(self.classes) + 1))
        )
        self.task = "segm" if "segm" in data.test_evaluator.metric else "det"

    def train(
        self,
        train: PathLike,
        valid: PathLike | None = None,
        test: PathLike | None = None,
        *,
        output_weights: PathLike,
        epoch: int = DEFAULTS["epoch"],
        batch_size: int | str = DEFAULTS["batch_size"],
        num_workers: int = DEFAULTS["num_workers"],
        lr: float | None = DEFAULTS["lr"],
        image_size: int | None = DEFAULTS["image_size"],
        weights: str = DEFAULTS["weights"],
        seed: int = DEFAULTS["seed"],
        device: str = DEFAULTS["device"],
        resume: bool = DEFAULTS["resume"],
        early_stop: int | None = DEFAULTS["early_stop"],
        amp: bool = DEFAULTS["amp"],
        accumulate: int = DEFAULTS["accumulate"],
        tensorboard: bool = DEFAULTS["tensorboard"],
        set: Sequence[str] = tuple(DEFAULTS["set"]),
        print_config: bool = DEFAULTS["print_config"],
        trust_weights: bool = DEFAULTS["trust_weights"],
        frozen_stages: int | None = None,
        warmup: int | None = None,
        decay_epochs: Sequence[int] | None = None,
        decay_factor: float | None = None,
        save_every: int = SETTINGS["save_every"],
        log_every: int = SETTINGS["log_every"],
        metric: str = SETTINGS["metric"],
        force: bool = False,
        epochs: int | None = None,
    ) -> dict[str, Any] | None:
        """Trains; afterwards the model has the weights of the best epoch.

        Args:
            train: COCO file of the images to learn from.
            valid: COCO file that tells the best epoch; without it the last one is kept.
            test: COCO file that the finished model is evaluated on.
            output_weights: The weights to write, NAME.pth; all else is named after it.
            epoch: How often each image is seen.
            batch_size: Images in one step of one process; "auto" is as many as the GPU holds,
                at most a tenth of all.
            num_workers: Processes that read images; 0 reads in this one.
            lr: Learning rate; None fits the architecture's own to the batch.
            image_size: The size in pixels that stands for the architecture's own (the
                side of RTMDet's square, the shorter side for Mask R-CNN); None keeps it.
            weights: Where it starts from: "coco", "imagenet", "none", a file or a URL.
            seed: Of all that is random.
            device: "auto", "cpu" or "cuda:0".
            resume: Whether to go on from the newest checkpoint of the workspace, if there
                is one. The other arguments must be those that it was begun with.
            early_stop: Ends after so many epochs without a better AP on `valid`.
            amp: Mixed precision, where the device has it: bfloat16, else float16.
            accumulate: Batches whose gradients make one step together.
            tensorboard: Whether to log for TensorBoard too, in the workspace.
            set: Any keys of the configuration, as "optim_wrapper.optimizer.lr=0.01";
                "+KEY=VALUE" adds one that is not there yet.
            trust_weights: Whether the weights to start from may be any file, which may run
                code as it is loaded.
            print_config: Shows the complete configuration, and does not train.
            force: Whether to replace results that exist.
            epochs: Another name of `epoch`.
            frozen_stages: Stages of the backbone that do not learn, 0 to 4; None is the
                architecture's own.
            warmup: Steps in which the learning rate rises; None: its own, a tenth at most.
            decay_epochs: Epochs after which the learning rate falls; None: its own.
            decay_factor: What is left of the learning rate then; None: 0.1, or its own.
            save_every: Epochs between two checkpoints to resume from.
            log_every: Steps between two lines of the log.
            metric: What tells the best epoch: "coco", AP over the IoUs from 0.5 to 0.95,
                or "voc", AP at an IoU of 0.5.

        Returns:
            The statistics of the test set, None without one.

        Raises:
            CvtkError: Data, weights or settings that cannot be used; the message says why.
        """
        from cvtk.engine.prepare import prepare_training
        from cvtk.engine.processes import join_processes
        from cvtk.engine.train import run_training
        from cvtk.engine.weights import pick_device, safe_types

        output, place = Path(output_weights), pick_device(device)
        if output.suffix != ".pth":
            raise FileError(
                f"{output} does not end in .pth.", "Call the weights NAME.pth."
            )
        _require_free(output, force or resume or print_config)
        if output.with_suffix(".py").resolve() == Path(sys.argv[0]).resolve():
            raise FileError(
                f"{output.with_suffix('.py')}, the configuration, would replace this script.",
                "Choose another name for the weights.",
            )
        if tensorboard and not importlib.util.find_spec("tensorboard"):
            raise InstallError(
                "tensorboard is not installed.", "Install it: pip install tensorboard"
            )
        options = {
            "train": str(train),
            "valid": valid and str(valid),
            "test": test and str(test),
            "task": self.task,
            "output_weights": str(output),
            "epoch": epochs or epoch,
            "batch_size": batch_size,
            "num_workers": num_workers,
            "lr": lr,
            "image_size": image_size,
            "weights": weights,
            "seed": seed,
            "device": place,
            "resume": resume,
            "early_stop": early_stop,
            "amp": amp,
            "accumulate": accumulate,
            "tensorboard": tensorboard,
            "set": list(set),
            "trust_weights": trust_weights,
            "print_config": print_config,
        }
        with quiet():
            from mmdet.visualization import DetLocalVisualizer
            from mmengine import dist

            place = options["device"] = join_processes(place)
        settings = {
            "frozen_stages": frozen_stages,
            "warmup": warmup,
            "decay_epochs": decay_epochs,
            "decay_factor": decay_factor,
            "save_every": save_every,
            "log_every": log_every,
            "metric": metric,
        }
        main = dist.is_main_process()
        cfg: Any = None
        if main:  # of several processes, the first prepares all
            cfg = prepare_training(self.config, self.classes, options, settings)
        dist.broadcast_object_list(built := [cfg])
        cfg = built[0]
        if print_config:
            print(cfg.pretty_text if main else "")
            return None
        console = sys.stdout if main else io.StringIO()
        with quiet(), safe_types():
            # MMEngine's is one for all; a second training would write to the first's log.
            DetLocalVisualizer._instance_dict.clear()
            run_training(cfg, options, console)
        if not main:  # the first process does the rest
            return None
        self._networks.clear()
        self._open(output)
        if not test:
            return None
        folder = output.with_suffix("")
        return self._evaluate(test, folder, Path(f"{folder}.test_stats.json"), device)

    def evaluate(
        self,
        data: PathLike,
        output: PathLike | None = None,
        *,
        device: str = DEFAULTS["device"],
        force: bool = False,
    ) -> dict[str, Any]:
        """COCO's AP and AR of the weights on an annotated set, overall and by class.

        Args:
            data: A COCO file.
            output: A folder for `test_stats.json` and `test_outputs.coco.json`; None
                writes nothing.
            device: "auto", "cpu" or "cuda:0".
            force: Whether to replace results that exist.

        Returns:
            `stats` and `class_stats`; for masks also `bbox_stats` and `bbox_class_stats`.

        Raises:
            CvtkError: The weights or the data cannot be used.
        """
        if output is None:
            with tempfile.TemporaryDirectory() as folder:
                return self._evaluate(
                    data, Path(folder), Path(folder, "test_stats.json"), device
                )
        stats = Path(output, "test_stats.json")
        _require_free(stats, force)
        return self._evaluate(data, Path(output), stats, device)

    def _evaluate(
        self, data: PathLike, folder: Path, stats_file: Path, device: str
    ) -> dict[str, Any]:
        from cvtk.data import read
        from cvtk.data.checks import require_trainable
        from cvtk.data.prepare import prepare_annotations
        from cvtk.engine.predict import list_images
        from cvtk.metrics import coco_stats, fast_evaluator

        require_trainable(read(data), self.classes, self.task, train=False)
        with quiet():
            truth = prepare_annotations(data, self.classes, folder / "used_truth.json")
        ids, images = truth["metainfo"]["category_ids"], list_images(data)
        predictions: list[dict[str, Any]] = []
        results = self.predict(data, score=0, device=device)
        for number, result in zip(images, results, strict=True):
            for item in result.to_coco(number):
                item["category_id"] = ids[self.category_ids.index(item["category_id"])]
                predictions.append({**item, "id": len(predictions) + 1})
        report: dict[str, Any] = {}
        with quiet():
            for kind in ("segm", "bbox") if self.task == "segm" else ("bbox",):
                prefix = "bbox_" if report else ""
                stats, by_class = coco_stats(
                    truth["ann_file"], predictions, kind, fast_evaluator()
                )
                report |= {f"{prefix}stats": stats, f"{prefix}class_stats": by_class}
        report["computed_on"] = f"{data}, {len(images)} images"
        report["note"] = "-1: there are no objects of that size or class"
        aps = [
            f"{name} {report[key]['AP@[0.50:0.95|all|100]']:.3f}"
            for name, key in self._reported()
        ]
        print(f"{', '.join(aps)} on {data}, {len(images)} images: see {stats_file}")
        for file, content, indent in (
            (folder / "test_outputs.coco.json", predictions, None),
            (stats_file, report, 4),
        ):
            with written_whole(file, force=True) as part:
                part.write_text(
                    json.dumps(content, indent=indent, ensure_ascii=False), "utf-8"
                )
        return report

    def _reported(self) -> list[tuple[str, str]]:
        """What the statistics hold: a name for people, and the key."""
        boxes = "bbox_stats" if self.task == "segm" else "stats"
        return [("mask AP", "stats")] * (self.task == "segm") + [("box AP", boxes)]

    def predict(
        self,
        data: PathLike | Sequence[PathLike],
        *,
        batch_size: int = DEFAULTS["infer_batch_size"],
        score: float = DEFAULTS["score"],
        device: str = DEFAULTS["device"],
    ) -> Iterator[Result]:
        """Yields what is found in each image; memory stays flat however many there are.

        Args:
            data: An image, a folder, a text file of paths, a COCO file, or image paths.
            batch_size: Images that the network sees at once.
            score: Lowest score to keep, 0 to 1.
            device: "auto", "cpu" or "cuda:0".

        Raises:
            ModelError: The model is not trained yet.
            FileError: An image is missing or cannot be read.
        """
        from cvtk.engine.predict import find_images, load_model, predict, to_result
        from cvtk.engine.weights import pick_device

        if self.weights is None:
            raise ModelError(
                f"{self.name} has no weights yet.",
                "Train it, or open weights: create_model('NAME.pth').",
            )
        images, place = find_images(data), pick_device(device)
        if place not in self._networks:
            with quiet():
                self._networks[place] = load_model(
                    self.weights, place, self.trust_weights
                )
        found = predict(self._networks[place], list(images), batch_size)
        for path, sample in found:
            result = to_result(
                sample, path, images[path], self.classes, self.category_ids, score
            )
            yield result

    def predict_to_files(
        self,
        data: PathLike | Sequence[PathLike],
        output: PathLike,
        *,
        score: float = DEFAULTS["score"],
        batch_size: int = DEFAULTS["infer_batch_size"],
        device: str = DEFAULTS["device"],
        force: bool = False,
    ) -> Path:
        """Draws what is found in each image, and writes it all to `instances.json`.

        Args:
            data: An image, a folder, a text file of paths, a COCO file, or image paths.
            output: The folder to write to.
            score: Lowest score to draw and write, 0 to 1.
            batch_size: Images that the network sees at once.
            device: "auto", "cpu" or "cuda:0".
            force: Whether to replace results that exist.

        Returns:
            The COCO file.
        """
        from cvtk.engine.predict import find_images, list_images
        from cvtk.results import write_instances

        file = Path(output, "instances.json")
        _require_free(file, force)

        def drawn() -> Iterator[Result]:
            for result in self.predict(
                data, batch_size=batch_size, score=score, device=device
            ):
                result.save_to_img(output, force=force)
                yield result

        ids = None  # those of the images in a COCO file stay
        if isinstance(data, (str, Path)) and Path(data).suffix == ".json":
            numbers = {path: number for number, path in list_images(data).items()}
            ids = [numbers[path] for path in find_images(data)]
        count = write_instances(
            file,
            drawn(),
            self.classes,
            self.category_ids,
            image_ids=ids,
            force=force,
        )
        print(
            f"{count} objects with a score of at least {score:g}: see {file} and the pictures beside it."
        )
        return file


def require_mmdet() -> None:
    """Raises InstallError where training cannot work."""
    missing = [
        name
        for name in ("torch", "mmdet", "mmcv", "mmengine")
        if not importlib.util.find_spec(name)
    ]
    if missing:
        raise InstallError(
            f"This needs MMDetection, and {' and '.join(missing)} is not installed.",
            'Install it with: pip install "cvtk[mmdet]"',
        )


def run(main: Callable[[], None]) -> None:
    """Runs a script's main function; a user's mistake ends in one readable line."""
    try:
        main()
    except CvtkError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped.")


def _require_free(file: Path, force: bool) -> None:
    if file.exists() and not force:
        raise FileError(
            f"{file} exists.", "Choose another name, or use --force to replace it."
        )


def _names(labels: PathLike | Sequence[str]) -> list[str]:
    from cvtk.data.labels import read_labels

    return read_labels(labels) if isinstance(labels, (str, Path)) else list(labels)
