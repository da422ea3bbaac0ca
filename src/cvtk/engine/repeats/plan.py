"""Which trainings there are, on which images each learns and is tested, and what their files are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvtk import data
from cvtk.data import checks
from cvtk.data.grouping import (
    group_images,
    group_keys,
    note_alike,
    note_groups,
    noted_groups,
)
from cvtk.data.images import ImageFacts
from cvtk.data.reading import Reading
from cvtk.data.split import series_note, split
from cvtk.data.types import Id
from cvtk.engine.spec import ModelSpec
from cvtk.errors import DataError
from cvtk.log import logger
from cvtk.options import TrainOptions

WHOLE = 100
SMALLER = (50, 25)
"""Per cent of the images that the further trainings of a learning curve learn from."""

MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        title: What it is called in messages.
        fold: Which fold it is tested on, from 1; None without folds.
        options: Its own, as for a single training.
        sets: Its images, by "train", "valid" and "test".
    """

    title: str
    fold: int | None
    options: TrainOptions
    sets: dict[str, data.Dataset]

    @property
    def weights(self) -> Path:
        """The weights that it writes."""
        return self.options.output


@dataclass(frozen=True)
class Repeat:
    """Trainings that make one evaluation: with folds one for each, else a single one.

    Attributes:
        name: What their files are named after, without a suffix.
        share: Per cent of the images that they learn from.
        seed: Of these trainings.
        runs: The trainings.
    """

    name: Path
    share: int
    seed: int
    runs: list[Run]

    @property
    def images(self) -> float:
        """From how many images they learn, on average."""
        counts = [len(run.sets["train"].images) for run in self.runs]
        return sum(counts) / len(counts)


@dataclass(frozen=True)
class Plan:
    """All trainings.

    Attributes:
        repeats: The first is the one that would be trained without seeds and learning curve.
        tested: The images that the evaluations are made on, with what is annotated.
        train: All images to learn from.
        valid: The validation set; None without one.
        final: The training on all images after the folds.
    """

    repeats: list[Repeat]
    tested: data.Dataset
    train: data.Dataset
    valid: data.Dataset | None
    final: Run

    @property
    def runs(self) -> list[Run]:
        """All trainings, in the order in which they are done."""
        return [run for repeat in self.repeats for run in repeat.runs]

    @property
    def tested_groups(self) -> int:
        """How many groups of images are tested; an image that is like no other is one."""
        together = noted_groups(self.tested)
        return len(self.tested.images) - sum(len(ids) - 1 for ids in together)


def make_plan(spec: ModelSpec, options: TrainOptions) -> Plan:
    """Plans the trainings, and checks their annotations, so that none fails hours later.

    Args:
        spec: The model, whose classes the annotations must have.
        options: The user's choices.

    Raises:
        CvtkError: Data that cannot be used, or that cannot be split so.
    """
    dataset = data.read(options.train)
    checks.require_trainable(dataset, spec.classes, spec.task, train=True)
    reading = Reading(options.intensity).with_choices(options.page, options.channels)
    groups = _groups(dataset, checks.require_images(dataset, reading), options)
    tested = dataset
    if options.test is not None:
        tested = data.read(options.test)
        note_alike(tested, checks.require_images(tested, reading))
    valid = None if options.valid is None else data.read(options.valid)
    folds = _folds(dataset, options, groups)
    first = options.seed
    repeats = []
    for seed in range(first, first + (options.seeds or 1)):
        for share in (WHOLE, *(SMALLER if options.learning_curve else ())):
            name = options.output.with_suffix("")
            name = (
                name
                if share == WHOLE
                else name.with_name(f"{name.name}.{share}percent")
            )
            name = name if seed == first else name.with_name(f"{name.name}.seed{seed}")
            runs = []
            for fold, train, test in folds or [(None, dataset, tested)]:
                part = subset(train, share, seed, groups)
                sets = {"train": part, "test": test}
                if valid is not None:
                    sets["valid"] = valid
                own = _own_options(options, name, fold, seed, len(train.images), part)
                title = _title(options, fold, seed, share)
                runs.append(Run(title, fold, own, sets))
            repeats.append(Repeat(name, share, seed, runs))
    for run in (run for repeat in repeats for run in repeat.runs):
        _require_trainable(run, spec)
    sets = {"train": dataset, **({} if valid is None else {"valid": valid})}
    final = Run("the final model", None, single(options), sets)
    return Plan(repeats, tested, dataset, valid, final)


def _require_trainable(run: Run, spec: ModelSpec) -> None:
    """Checks that there is something to learn in the part of the images that a training gets."""
    part = run.sets["train"]
    try:
        checks.require_trainable(part, spec.classes, spec.task, train=True)
    except DataError as error:
        raise DataError(
            f"{run.title}, {len(part.images)} to learn from: {error.message}",
            "These are too few images to be parted so.",
        ) from None


def _groups(
    dataset: data.Dataset, facts: list[ImageFacts], options: TrainOptions
) -> dict[Id, str]:
    """By the id of each image the group that it belongs to: what is never parted."""
    if not (options.folds or options.learning_curve):
        return {}
    images = dataset.images
    keys = None
    if options.group_by is not None:
        keys = group_keys(images, options.group_by, options.group_table, "--group_by")
    elif options.folds and not any(image.group for image in images):
        for note in series_note([image.file_name for image in images]):
            logger.info(note)
    numbers = group_images(dataset, keys, facts=facts)
    note_groups(dataset, numbers, keys)
    groups = {image.id: str(n) for image, n in zip(images, numbers, strict=True)}
    parts = max(options.folds or 1, 4 if options.learning_curve else 1)
    count = len(set(groups.values()))
    if count < parts:
        raise DataError(
            f"{dataset.file}: {len(images)} images in {count} groups cannot be dealt out to {parts} parts.",
            "Take fewer folds, or a --group_by that makes smaller groups. Images that look alike are one group, and"
            " so are those of which the file says it.",
        )
    return groups


def _keys(dataset: data.Dataset, groups: dict[Id, str]) -> list[str]:
    return [groups[image.id] for image in dataset.images]


def _folds(
    dataset: data.Dataset, options: TrainOptions, groups: dict[Id, str]
) -> list[tuple[int | None, data.Dataset, data.Dataset]]:
    """Of each fold its number, the images to learn from and those to test on; none without folds.

    They are the same for all seeds: what differs then is the training alone.
    """
    if options.folds is None:
        return []
    keys = _keys(dataset, groups)
    found = split(
        dataset, folds=options.folds, seed=options.seed, keys=keys, look=False
    )
    for note in found.notes:
        logger.info(note)
    parts = found.parts
    return [
        (number, parts[f"fold{number}.train"], parts[f"fold{number}.valid"])
        for number in range(1, options.folds + 1)
    ]


def subset(
    dataset: data.Dataset, share: int, seed: int, groups: dict[Id, str]
) -> data.Dataset:
    """A share of the images, with all classes and sizes in it as evenly as may be; the smaller lies in the larger.

    Args:
        dataset: The images.
        share: 25, 50 or 100 per cent.
        seed: Chooses which.
        groups: By the id of each image what it is not parted from.
    """
    if share == WHOLE:
        return dataset
    ratios = {"25": 0.25, "50": 0.25, "100": 0.5}
    found = split(dataset, ratios, seed=seed, keys=_keys(dataset, groups), look=False)
    names = ("25",) if share == 25 else ("25", "50")
    chosen = {image.id for name in names for image in found.parts[name].images}
    return dataset.subset([image for image in dataset.images if image.id in chosen])


def _own_options(
    options: TrainOptions,
    name: Path,
    fold: int | None,
    seed: int,
    whole: int,
    part: data.Dataset,
) -> TrainOptions:
    """The options of one training. With fewer images it takes more epochs, so that all take equally many steps."""
    weights = name.with_name(f"{name.name}{'' if fold is None else f'.fold{fold}'}.pth")
    factor = whole / len(part.images)

    def longer(epochs: int) -> int:
        return min(MOST_EPOCHS, round(epochs * factor))

    stop, decay = options.early_stop, options.decay_epochs
    return replace(
        single(options),
        output_weights=weights,
        test=options.test if fold is None else options.train,
        seed=seed,
        epoch=longer(options.epoch),
        save_every=longer(options.save_every),
        validate_every=longer(options.validate_every),
        early_stop=None if stop is None else longer(stop),
        decay_epochs=None if decay is None else [longer(epoch) for epoch in decay],
    )


def single(options: TrainOptions) -> TrainOptions:
    """The same options for one training."""
    return replace(
        options,
        folds=None,
        fold=None,
        final=False,
        seeds=None,
        learning_curve=False,
        group_by=None,
        group_table=None,
    )


def _title(options: TrainOptions, fold: int | None, seed: int, share: int) -> str:
    parts: Sequence[str] = [
        f"fold {fold} of {options.folds}" if fold is not None else "",
        f"seed {seed}" if options.seeds else "",
        f"{share}% of the images" if options.learning_curve else "",
    ]
    return ", ".join(part for part in parts if part)
