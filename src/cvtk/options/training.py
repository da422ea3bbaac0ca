"""The options of `train`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cvtk.declare import Checked, Option
from cvtk.options.repeats import _Repeats
from cvtk.options.shared import PathLike, _Device, _Force, _Stack, _Trust

# What follows a training: the steps done, all steps, and the newest losses (after a step) or metrics (after a
# validation) by name.
Follower: TypeAlias = Callable[[int, int, Mapping[str, float]], None]

# How it is written what a score is chosen for.
AIM = re.compile(r"f1|count|(recall|precision)=(0?\.\d+|1(\.0+)?)")

# `balance` shows classes more often that are in a smaller share of the images.
USUAL_SHARE = 0.5


@dataclass(frozen=True)
class NewModel(Checked):
    """What `train` of a script makes its model from."""

    label: Annotated[PathLike, Option(help="class names, one per line")]


@dataclass(frozen=True)
class TrainOptions(_Repeats, _Trust, _Stack, _Device, _Force):
    """One training: its data, what it writes, and how it learns."""

    train: Annotated[PathLike, Option(help="COCO file to learn from")]
    valid: Annotated[
        PathLike | None,
        Option(
            help="COCO file to select the best epoch",
            unset="last kept",
        ),
    ] = None
    test: Annotated[
        PathLike | None,
        Option(help="COCO file for the final metrics", unset="no metrics"),
    ] = None
    _: KW_ONLY
    output_weights: Annotated[
        PathLike,
        Option(help="weights to write, NAME.pth"),
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
            help="size in pixels",
            minimum=32,
            maximum=8192,
            unset="the architecture's",
        ),
    ] = None
    weights: Annotated[
        str,
        Option(
            help="start: coco, scenes, imagenet, none, file or URL",
            pattern=re.compile(r"\S.*"),
            expected="coco, scenes, imagenet, none, a file or a URL",
        ),
    ] = "coco"
    seed: Annotated[
        int,
        Option(help="random seed", minimum=0, maximum=2**32 - 1),
    ] = 0
    resume: Annotated[bool, Option(help="go on after a stop")] = False
    early_stop: Annotated[
        int | None,
        Option(
            help="epochs to wait for a better AP",
            minimum=1,
            maximum=100_000,
            unset="all",
        ),
    ] = None
    aim: Annotated[
        str,
        Option(
            help="what scores are chosen for: f1, count, recall=0.9, precision=0.9",
            pattern=AIM,
            expected="f1, count, recall=0.95 or precision=0.9",
            in_vanilla=False,
        ),
    ] = "f1"
    amp: Annotated[bool, Option(help="mixed precision, if the device has it")] = False
    accumulate: Annotated[
        int,
        Option(help="batches per step", minimum=1, maximum=10_000),
    ] = 1
    intensity: Annotated[
        Literal["depth", "range", "percentiles"],
        Option(
            help="scale more than 8 bits by depth, range or percentiles",
            in_vanilla=False,
        ),
    ] = "depth"
    log: Annotated[
        Literal["tensorboard", "wandb", "mlflow"] | None,
        Option(
            help="also log to tensorboard, wandb or mlflow",
            unset="to files alone",
            in_vanilla=False,
        ),
    ] = None
    set: Annotated[
        Sequence[str],
        Option(
            help="KEY=VALUE; may be repeated",
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
    balance: Annotated[
        bool,
        Option(kind="setting", help="images with rare classes are seen more often"),
    ] = False
    save_every: Annotated[
        int,
        Option(
            kind="setting",
            help="epochs between checkpoints to resume from",
            minimum=1,
            maximum=100_000,
        ),
    ] = 1
    validate_every: Annotated[
        int,
        Option(
            kind="setting",
            help="epochs from one validation to the next; the last epoch has one too",
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
    tensorboard: Annotated[
        bool,
        Option(kind="library", help="another name of `log='tensorboard'`"),
    ] = False
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
    progress: Annotated[
        Follower | None,
        Option(
            kind="library",
            help="called with the steps done, all steps, and the newest losses or metrics",
            unset="nothing is called",
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            object.__setattr__(self, "epoch", self.epochs)
            object.__setattr__(self, "epochs", None)
        if self.tensorboard:
            object.__setattr__(self, "log", "tensorboard")
            object.__setattr__(self, "tensorboard", False)

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
        if self.tensorboard and self.log not in (None, "tensorboard"):
            found.append(f"Log to tensorboard or to {self.log}, not to both.")
        if self.is_repeated and self.print_config:
            found.append(
                "--print_config shows one training: leave out --folds, --seeds and --learning_curve."
            )
        if self.seeds and self.seed + self.seeds > 2**32:
            found.append(f"--seed {self.seed} leaves no room for {self.seeds} seeds.")
        return found + self.contradictions_of_repeats(self.test is not None)

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
