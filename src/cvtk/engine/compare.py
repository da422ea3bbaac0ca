"""Two models on the same images: from what their evaluations wrote, or from their weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

from cvtk.analysis.bootstrap import DRAWS
from cvtk.analysis.comparison import Comparison, Rival, compare_predictions
from cvtk.data import Dataset, read
from cvtk.data.grouping import group_images, group_keys, note_groups, noted_groups
from cvtk.engine.evaluated import Evaluated, read_evaluated
from cvtk.errors import DataError, OptionError
from cvtk.exported.kinds import is_exported
from cvtk.log import show_messages
from cvtk.metrics.detections import Kind
from cvtk.options import PathLike


def compare(
    first: PathLike,
    second: PathLike,
    data: PathLike | None = None,
    *,
    by: str | None = None,
    groups: PathLike | None = None,
    device: str = "auto",
    draws: int = DRAWS,
) -> Comparison:
    """Compares two models on the same images, and says whether one is better.

    Args:
        first: A folder that `evaluate` or a training wrote, predictions in COCO's results format (`.json`), or
            weights (`.pth`), or an exported model.
        second: The same of the other model.
        data: The annotated set, a COCO file; what both were evaluated on where left out. Weights are evaluated
            on it; without it, the predictions that their training made for its test set are taken.
        by: Also compares each group of images: a column of `groups`, or a regular expression on their names.
        groups: A CSV file with a column `file_name` and others.
        device: Where weights are evaluated: "auto", "cpu" or "cuda:0".
        draws: How often images are drawn for the intervals.

    Returns:
        The comparison; `print` it, or end a cell of a notebook with it.

    Raises:
        CvtkError: The models were evaluated on different sets, or something cannot be read; the message says
            what.
    """
    show_messages()
    if groups is not None and by is None:
        raise OptionError(
            f"Nothing says which column of {groups} to take.", "Name it with --by."
        )
    found: list[Evaluated] = []
    for name in (first, second):
        is_model = Path(name).suffix == ".pth" or is_exported(Path(name))
        if data is not None and is_model:
            found.append(_evaluate(Path(name), Path(data), device))
        else:
            found.append(read_evaluated(Path(name)))
    dataset = read(data if data is not None else _common_set(found))
    together = chain.from_iterable(evaluated.groups for evaluated in found)
    note_groups(dataset, group_images(dataset, look=False, together=together))
    keys = None if by is None else group_keys(dataset.images, by, groups, "--by")
    a, b = (_with_cuts_for(dataset, evaluated.rival) for evaluated in found)
    try:
        return compare_predictions(
            dataset, a, b, _kind(dataset, a, b), keys, _called(by, groups), draws=draws
        )
    except DataError as error:
        raise DataError(
            f"{a.name} and {b.name} on {dataset.file}: {error.message}", error.remedy
        ) from None


def _with_cuts_for(dataset: Dataset, rival: Rival) -> Rival:
    """A model without scores to cut at, where they are not for the classes of the data set."""
    cuts = rival.thresholds
    if cuts is None or set(dataset.class_names) <= set(cuts.by_class):
        return rival
    return replace(rival, thresholds=None)


def _evaluate(weights: Path, data: Path, device: str) -> Evaluated:
    """Predicts with weights on an annotated set."""
    from cvtk.engine.evaluate import predict_all, read_truth
    from cvtk.engine.predictors import open_predictor
    from cvtk.engine.spec import make_spec

    spec = make_spec(weights, None, None, False)
    predictor = open_predictor(spec, device)
    truth = read_truth(data, spec, predictor.reading)
    predictions = predict_all(predictor, truth)
    rival = Rival(str(weights), predictions, predictor.thresholds)
    return Evaluated(rival, str(data), noted_groups(truth))


def _called(by: str | None, groups: PathLike | None) -> str:
    """What the groups are called: the column that they come from, or just that."""
    return str(by) if groups is not None else "group"


def _common_set(found: list[Evaluated]) -> str:
    """The annotated set that both models were evaluated on.

    Raises:
        OptionError: It is not known, or not the same.
    """
    a, b = found
    for evaluated in found:
        if evaluated.file is None:
            raise OptionError(
                f"It is not known what {evaluated.rival.name} was evaluated on.",
                "Name the annotations with --data FILE.json.",
            )
    assert a.file is not None and b.file is not None
    if Path(a.file).resolve() != Path(b.file).resolve():
        raise OptionError(
            f"{a.rival.name} was evaluated on {a.file}, and {b.rival.name} on {b.file}.",
            "Evaluate both on the same images.",
        )
    return a.file


def _kind(dataset: Dataset, first: Rival, second: Rival) -> Kind:
    """Masks where both models and the annotations have them, else boxes."""
    predictions = chain(first.predictions, second.predictions)
    has_masks = all("segmentation" in prediction for prediction in predictions)
    is_labelled = all(a.has_mask for a in dataset.annotations)
    return "segm" if has_masks and is_labelled else "bbox"
