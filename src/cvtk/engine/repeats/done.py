"""Which of several trainings are done, and whether they are those that are asked for now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk import data
from cvtk.engine.card import CARD, options_record
from cvtk.engine.evaluated import PREDICTIONS, STATS
from cvtk.engine.repeats.plan import Run
from cvtk.errors import DataError, FileError, OptionError
from cvtk.io import is_file, read_text

# What may be another without another result, or with one that is as good.
_MAY_DIFFER = {
    *("train", "valid", "test", "output_weights", "label", "device"),
    *("resume", "force", "num_workers", "log", "log_every", "save_every"),
    *("trust_weights", "print_config", "tensorboard"),
}
_ANEW = "Give what was given then; or train all anew, with force=True and without resume=True."


def stats_file(weights: Path) -> Path:
    """The metrics on the test set that a training writes."""
    return weights.with_name(f"{weights.stem}.{STATS}")


def card_file(weights: Path) -> Path:
    """The run card, which a training writes last."""
    return weights.with_name(weights.stem + CARD)


def is_done(run: Run) -> bool:
    """Whether a training has ended with all that it writes."""
    return is_tested(run) and is_file(card_file(run.weights))


def is_tested(run: Run) -> bool:
    """Whether there are the weights of a training, and its predictions and metrics on the test set."""
    files = (
        run.weights,
        run.options.workspace / PREDICTIONS,
        stats_file(run.weights),
    )
    return all(is_file(file) for file in files)


def require_not_begun(runs: list[Run]) -> None:
    """Checks that trainings that begin anew replace nothing.

    Raises:
        FileError: They would.
    """
    found = [run.weights for run in runs if run.weights.exists()]
    if found:
        raise FileError(
            f"{len(found)} of {len(runs)} trainings exist already, the first as {found[0]}."
            if len(runs) > 1
            else f"{found[0]} exists already.",
            "With resume=True, what is missing is trained; with force=True, all is trained anew.",
        )


def require_same(run: Run) -> None:
    """Checks that what there is of a training was made from the same images, with the same options.

    Raises:
        DataError: Its images are others.
        OptionError: Its options were others.
    """
    for split in ("train", "test") if "test" in run.sets else ("train",):
        file = run.options.workspace / f"used_{split}.json"
        if is_file(file) and _ids(file) != _ids_of(run.sets[split]):
            raise DataError(
                f"{run.weights} belongs to another training: it has other images in its {split} set than {run.title}"
                " has now. The data, --folds, --seed or --group_by has changed.",
                _ANEW,
            )
    card = card_file(run.weights)
    then: dict[str, Any] = _json(card).get("options", {}) if is_file(card) else {}
    now = json.loads(json.dumps(options_record(run.options)))
    different = [
        f"{name} was {then[name]} and is {now[name]}"
        for name in now
        if name not in _MAY_DIFFER and name in then and then[name] != now[name]
    ]
    if different:
        raise OptionError(
            f"{run.weights} was trained with other options: {', '.join(different)}.",
            _ANEW,
        )


def _ids(file: Path) -> set[Any]:
    return {image["id"] for image in _json(file).get("images", [])}


def _ids_of(dataset: data.Dataset) -> set[Any]:
    return {image.id for image in dataset.images}


def _json(file: Path) -> Any:
    try:
        return json.loads(read_text(file))
    except ValueError:
        raise FileError(f"{file} is damaged.", _ANEW) from None
