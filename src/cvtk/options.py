"""Every option, declared once: its name, type, default, range and help.

The dataclasses below are the only place that states an option. From them come the `add_argument` calls of
both kinds of script (`cvtk.scripts`), the signatures of `Model.train`, `evaluate`, `predict` and
`predict_to_files`, and the tables in the docs (docs/tables.py). Their objects are also what
travels inside: whoever holds one knows that every value is of its type and in its range.

A new option is one field here, and the code that acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cvtk.declare import Checked, Declared, Option, declarations

PathLike: TypeAlias = str | Path
Task: TypeAlias = Literal["segm", "det"]

# The architectures of the tutorial, where nobody names one.
DEFAULT_MODELS: dict[str, str] = {
    "segm": "mask-rcnn_r101_fpn_1x_coco",
    "det": "faster-rcnn_r101_fpn_1x_coco",
}


@dataclass(frozen=True)
class _Device(Checked):
    _: KW_ONLY
    device: Annotated[
        str,
        Option(
            help="auto (a GPU if there is one), cpu or cuda:0",
            pattern=re.compile(r"auto|cpu|mps|cuda(:\d+)?"),
            expected="auto, cpu, cuda or cuda:0",
        ),
    ] = "auto"


@dataclass(frozen=True)
class _Force(Checked):
    _: KW_ONLY
    force: Annotated[bool, Option(help="replace results that exist")] = False


@dataclass(frozen=True)
class _Trust(Checked):
    _: KW_ONLY
    trust_weights: Annotated[
        bool,
        Option(
            help="load weights that may run code; only from people you trust",
            in_vanilla=False,
        ),
    ] = False


@dataclass(frozen=True)
class NewModel(Checked):
    """What `train` of a script makes its model from."""

    label: Annotated[PathLike, Option(help="class names, one per line")]


@dataclass(frozen=True)
class TrainedModel(_Trust):
    """What `evaluate` and `inference` of a script open their model from."""

    model_weights: Annotated[
        PathLike, Option(help="weights that train wrote, NAME.pth")
    ]
    label: Annotated[
        PathLike | None,
        Option(help="class names to compare with", unset="those of the weights"),
    ] = None


@dataclass(frozen=True)
class TrainOptions(_Trust, _Device, _Force):
    """One training: its data, what it writes, and how it learns."""

    train: Annotated[PathLike, Option(help="COCO file with the images to learn from")]
    valid: Annotated[
        PathLike | None,
        Option(
            help="COCO file with the images that select the best epoch",
            unset="the last is kept",
        ),
    ] = None
    test: Annotated[
        PathLike | None,
        Option(
            help="COCO file with the images for the final metrics", unset="no metrics"
        ),
    ] = None
    _: KW_ONLY
    output_weights: Annotated[
        PathLike,
        Option(help="weights to write, NAME.pth; all other files are named after it"),
    ]
    epoch: Annotated[
        int,
        Option(help="how often each image is seen", minimum=1, maximum=100_000),
    ] = 24
    batch_size: Annotated[
        int | Literal["auto"],
        Option(
            help="images per step",
            minimum=1,
            maximum=4096,
            word="auto",
            word_help="auto: as many as the GPU holds",
        ),
    ] = 4
    num_workers: Annotated[
        int,
        Option(help="processes that read images", minimum=0, maximum=256),
    ] = 2
    lr: Annotated[
        float | None,
        Option(
            help="learning rate",
            minimum=1e-12,
            maximum=1000,
            unset="fitted to the batch",
        ),
    ] = None
    image_size: Annotated[
        int | None,
        Option(
            help="size of the images in pixels",
            minimum=32,
            maximum=8192,
            unset="the architecture's own",
        ),
    ] = None
    weights: Annotated[
        str,
        Option(
            help="start from coco, imagenet, none, a file or a URL",
            pattern=re.compile(r"\S.*"),
            expected="coco, imagenet, none, a file or a URL",
        ),
    ] = "coco"
    seed: Annotated[
        int,
        Option(help="seed of all that is random", minimum=0, maximum=2**32 - 1),
    ] = 0
    resume: Annotated[
        bool, Option(help="go on from the last epoch of a stopped training")
    ] = False
    early_stop: Annotated[
        int | None,
        Option(
            help="end after so many epochs without a better AP",
            minimum=1,
            maximum=100_000,
            unset="train all epochs",
        ),
    ] = None
    amp: Annotated[bool, Option(help="mixed precision, on a GPU")] = False
    accumulate: Annotated[
        int,
        Option(help="batches that make one step together", minimum=1, maximum=10_000),
    ] = 1
    tensorboard: Annotated[
        bool,
        Option(help="also log for TensorBoard, in the workspace", in_vanilla=False),
    ] = False
    set: Annotated[
        Sequence[str],
        Option(
            help="KEY=VALUE of the configuration; may be repeated",
            pattern=re.compile(r"\+?[^=+\s][^=]*=.*", re.DOTALL),
            expected="KEY=VALUE, such as optim_wrapper.optimizer.lr=0.01",
        ),
    ] = ()
    print_config: Annotated[
        bool, Option(help="show the configuration, and end", in_vanilla=False)
    ] = False
    frozen_stages: Annotated[
        int | None,
        Option(
            kind="setting",
            help="stages of the backbone that do not learn, 0 to 4",
            minimum=-1,
            maximum=4,
            unset="the architecture's own",
        ),
    ] = None
    warmup: Annotated[
        int | None,
        Option(
            kind="setting",
            help="steps in which the learning rate rises",
            minimum=0,
            maximum=10_000_000,
            unset="the architecture's own, at most a tenth of all",
        ),
    ] = None
    decay_epochs: Annotated[
        Sequence[int] | None,
        Option(
            kind="setting",
            help="epochs after which the learning rate falls, such as [16, 22]",
            minimum=1,
            maximum=100_000,
            unset="the architecture's own",
        ),
    ] = None
    decay_factor: Annotated[
        float | None,
        Option(
            kind="setting",
            help="what is left of the learning rate then, such as 0.1",
            minimum=1e-9,
            maximum=1,
            unset="the architecture's own, else 0.1",
        ),
    ] = None
    save_every: Annotated[
        int,
        Option(
            kind="setting",
            help="epochs between checkpoints to resume from",
            minimum=1,
            maximum=100_000,
        ),
    ] = 1
    log_every: Annotated[
        int,
        Option(
            kind="setting",
            help="steps between lines of the log",
            minimum=1,
            maximum=1_000_000,
        ),
    ] = 50
    metric: Annotated[
        Literal["coco", "voc"],
        Option(
            kind="setting",
            help='selects the best epoch: "coco" (IoU 0.50 to 0.95) or "voc" (0.50)',
        ),
    ] = "coco"
    epochs: Annotated[
        int | None,
        Option(
            kind="library",
            help="another name of `epoch`",
            minimum=1,
            maximum=100_000,
            unset="`epoch` counts",
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            object.__setattr__(self, "epoch", self.epochs)
            object.__setattr__(self, "epochs", None)

    def contradictions(self) -> list[str]:
        """Sentences on values that do not go together; empty where all do."""
        found = []
        if self.output.suffix != ".pth" or self.output.stem == ".":
            found.append(
                f"--output_weights {self.output} does not end in .pth. Call the weights NAME.pth."
            )
        if self.early_stop and not self.valid:
            found.append(
                "--early_stop needs --valid, to know which epoch is better. Give both, or neither."
            )
        return found

    @property
    def output(self) -> Path:
        """The weights to write, `NAME.pth`."""
        return Path(self.output_weights)

    @property
    def workspace(self) -> Path:
        """The folder of logs and checkpoints, `NAME`."""
        return self.output.with_suffix("").absolute()

    @property
    def annotation_files(self) -> dict[str, Path]:
        """The COCO files that were given, by split."""
        files = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: Path(file) for split, file in files.items() if file is not None}


@dataclass(frozen=True)
class EvaluateOptions(_Device, _Force):
    """An evaluation of trained weights on an annotated set."""

    data: Annotated[PathLike, Option(help="COCO file with the images to evaluate on")]
    output: Annotated[
        PathLike | None,
        Option(
            help="folder for the results",
            unset="nothing is written",
            needed=True,
        ),
    ] = None


@dataclass(frozen=True)
class PredictOptions(_Device):
    """What is predicted, and how."""

    data: Annotated[
        PathLike | Sequence[PathLike],
        Option(help="image, folder, text file of paths, or COCO file"),
    ]
    _: KW_ONLY
    score: Annotated[
        float,
        Option(help="lowest score that is drawn and written", minimum=0, maximum=1),
    ] = 0.3
    batch_size: Annotated[
        int,
        Option(
            help="images that are predicted at once",
            minimum=1,
            maximum=4096,
            in_vanilla=False,
        ),
    ] = 1


@dataclass(frozen=True)
class InferenceOptions(PredictOptions, _Force):
    """Predictions that are drawn and written."""

    output: Annotated[PathLike, Option(help="folder for the results")]


# What each command of a script takes: the parts of its command line, in their order.
COMMANDS: dict[str, tuple[type[Checked], ...]] = {
    "train": (NewModel, TrainOptions),
    "evaluate": (TrainedModel, EvaluateOptions),
    "inference": (TrainedModel, InferenceOptions),
}


def command_options(command: str, mode: str = "helper") -> list[Declared]:
    """The options of a command of the scripts, those first that must be given.

    Args:
        command: "train", "evaluate" or "inference".
        mode: "helper" or "vanilla", the kind of script.
    """
    found = [d for options in COMMANDS[command] for d in declarations(options)]
    shown = [declared for declared in found if declared.option.kind == "option"]
    if mode == "vanilla":
        shown = [declared for declared in shown if declared.option.in_vanilla]
    return sorted(shown, key=lambda declared: not declared.required)


def settings() -> list[Declared]:
    """What stands at the head of the helper script."""
    return [d for d in declarations(TrainOptions) if d.option.kind == "setting"]
