"""Several trainings as a paragraph for a paper: the folds of a cross-validation, seeds, and parts of the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cvtk.analysis.bootstrap import Interval
from cvtk.analysis.learning_curve import LearningCurve
from cvtk.analysis.methods import (
    AIMS,
    BOOTSTRAP,
    COCO,
    KINDS,
    STARTS,
    Card,
    References,
    balance_sentences,
    drawn_words,
    listed,
    model_sentence,
    set_words,
    size_words,
    time_sentences,
    training_sentences,
    untouched,
    value_words,
)
from cvtk.analysis.seeds import Seeds
from cvtk.analysis.tables import without_nan
from cvtk.words import counted, enumerated

HESTNESS = "Hestness J. et al. (2017). Deep Learning Scaling is Predictable, Empirically. arXiv:1712.00409."


@dataclass(frozen=True)
class Repeated:
    """Several trainings, and what came of them.

    Attributes:
        cards: The run cards of the trainings on all images: of each seed one, or one for each fold.
        smaller: Those of the trainings on parts of the images.
        metrics: Of the first evaluation, by name; empty where they are not known.
        images: How many images were tested.
        groups: How many groups of images these are; an image alone is one.
        folds: How many folds there are; None without cross-validation.
        kept_together: What keeps images together beside their looks, such as "by `site` in sites.csv"; empty for
            nothing.
        cut_on: What the scores to cut at were chosen on: "valid", or "folds" (each on all others); "default" where
            they were not; empty where that differs between the trainings.
        fold_ap: The mean of the folds' AP and its standard deviation; None without.
        seeds: The metrics of several seeds; None without.
        curve: The learning curve; None without.
        final: The run card of the model of all images that was trained after the folds; None without.
    """

    cards: Sequence[Card]
    smaller: Sequence[Card] = ()
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    images: int = 0
    groups: int = 0
    folds: int | None = None
    kept_together: str = ""
    cut_on: str = ""
    fold_ap: tuple[float, float] | None = None
    seeds: Seeds | None = None
    curve: LearningCurve | None = None
    final: Card | None = None


def repeated_methods_text(told: Repeated) -> str:
    """The paragraph and its references, as Markdown; what is not known is not said."""
    references = References()
    if len(told.cards) == 1:
        sentences = training_sentences(told.cards[0], references)
    else:
        sentences = [
            model_sentence(_common(told.cards), references),
            *_crossed(told),
            *_trained(told),
            *balance_sentences(told.cards[0], references),
            *_chosen(told),
            *_tested(told, references),
        ]
    final = [told.final] if told.final is not None else []
    sentences += [
        *_learning_curve(told, references),
        *(_final(card) for card in final),
        *time_sentences([*told.cards, *told.smaller, *final]),
    ]
    return listed(sentences, references)


def _common(cards: Sequence[Card]) -> Card:
    """The first card, with the versions of all."""
    versions = {
        name: enumerated(list(dict.fromkeys(card["versions"][name] for card in cards)))
        for name in ("cvtk", "mmdet", "torch")
    }
    return {**cards[0], "versions": versions}


def _crossed(told: Repeated) -> list[str]:
    if told.folds is None:
        return []
    cards = told.cards[: told.folds]
    tested = [card["data"]["test"] for card in cards]
    classes = tested[0]["by_class"]
    everything = {
        "images": sum(facts["images"] for facts in tested),
        "objects": sum(facts["objects"] for facts in tested),
        "by_class": {
            name: sum(f["by_class"][name] for f in tested) for name in classes
        },
    }
    together = "Images that look alike were kept in one fold"
    if told.kept_together:
        together += f", and so were those that belong together {told.kept_together}"
    if told.groups < told.images:
        together += f", which made {counted(told.groups, 'group')}"
    return [
        f"Models were tested by cross-validation with {told.folds} folds on {set_words(everything)}: each image was"
        f" predicted by the one of {told.folds} models that had not been trained on it. {together}."
    ]


def _trained(told: Repeated) -> list[str]:
    first, runs = told.cards[0], [card["training"] for card in told.cards]
    options, train = first["options"], [card["data"]["train"] for card in told.cards]
    start = STARTS.get(options["weights"], "from weights of an earlier training")
    what = set_words(train[0])
    if told.folds is not None:
        what = f"{_span([facts['images'] for facts in train])} images"
    epochs = _span([run["epochs"] for run in runs])
    text = f"The {len(runs)} models were trained on {what} for {epochs} epochs, starting {start}"
    interrupted = sum(bool(run["resumed"]) for run in runs)
    if interrupted:
        text += f", {interrupted} of them with at least one interruption"
    step = f"Each step took {_span([run['images_per_step'] for run in runs])} images"
    step += size_words(first)
    lr = _span([run["lr"] for run in runs], lambda value: f"{value:.3g}")
    seeds = sorted({card["options"]["seed"] for card in told.cards})
    noun = "the seed was" if len(seeds) == 1 else "the seeds were"
    step += (
        f"; the optimizer was {runs[0]['optimizer']} with a learning rate of {lr} at its highest, and {noun}"
        f" {enumerated([str(seed) for seed in seeds])}"
    )
    sentences = [f"{text}.", f"{step}."]
    transforms = runs[0]["transforms"]
    if transforms and all(run["transforms"] == transforms for run in runs):
        sentences.append(
            f"Training images were prepared by MMDetection's {enumerated(transforms)}."
        )
    return sentences


def _chosen(told: Repeated) -> list[str]:
    """Which epoch was used, and where the scores to cut at come from."""
    card = told.cards[0]
    valid, sentences = card["data"].get("valid"), []
    aim = card["options"]["aim"]
    how = AIMS[aim.partition("=")[0]].format(aim)
    if valid is None:
        sentences.append("The weights of the last epoch were used.")
    elif all(c["weights"]["epoch"] is not None and c["validation"] for c in told.cards):
        name = next(iter(card["validation"]))
        sentences.append(
            f"Of each model the weights of the epoch with the highest {name} on {set_words(valid)} were used, a"
            " set that all shared."
        )
    if told.cut_on == "valid":
        sentences.append(
            "On these images the lowest score of a prediction that counts was chosen for each model and class,"
            f" {how}."
        )
    if told.cut_on == "folds":
        sentences.append(
            "The lowest score of a prediction that counts was chosen for each fold and class on the predictions for"
            f" the other folds, {how}."
        )
    return sentences


def _tested(told: Repeated, references: References) -> list[str]:
    metrics = told.metrics
    if told.seeds is not None:
        metrics = {name: spread.mean for name, spread in told.seeds.overall.items()}
    words = {
        name: value_words(without_nan(asdict(value))) for name, value in metrics.items()
    }
    if not words.get("AP"):
        return []
    first = told.cards[0]
    where = f"On {set_words(first['data']['test'])}{untouched(first)}"
    if told.folds is not None:
        where = "On the predictions of all folds together,"
    kind = KINDS[first["model"]["task"]]
    text = (
        f"{where} the average precision of {kind} (AP, the mean over IoU 0.50 to 0.95 and over"
        f" classes{references.cite(COCO)}) was {words['AP']}, and AP at IoU 0.50 was {words['AP50']}"
    )
    sentences = [text + (_over_seeds(told.seeds) if told.seeds else ".")]
    if told.fold_ap is not None:
        whose = " of the first seed" if told.seeds else ""
        sentences.append(
            f"AP of the single folds{whose} was {told.fold_ap[0]:.3f} on average, with a standard deviation of"
            f" {told.fold_ap[1]:.3f}."
        )
    names = [name for name in ("precision", "recall", "F1") if words.get(name)]
    if names and told.cut_on:
        values = enumerated([f"{name} was {words[name]}" for name in names])
        start = (
            "From a score of 0.3 on"
            if told.cut_on == "default"
            else "At the chosen scores"
        )
        sentences.append(f"{start}, and at IoU 0.50, {values}.")
    if not math.isnan(metrics["AP"].low):
        sentences.append(
            "Values in parentheses are 95% intervals from a bootstrap over"
            f" {drawn_words(told.images, told.groups)}{references.cite(BOOTSTRAP)}."
        )
    return sentences


def _over_seeds(seeds: Seeds) -> str:
    deviation = seeds.overall["AP"].deviation
    text = f", means over {len(seeds.seeds)} seeds"
    return f"{text}, between which AP had a standard deviation of {deviation:.3f}."


def _learning_curve(told: Repeated, references: References) -> list[str]:
    curve = told.curve
    if curve is None:
        return []
    points = [f"{point.ap.value:.3f} with {point.images:.0f}" for point in curve.points]
    sentences = [
        "Further models were trained on parts of the images, for correspondingly more epochs: AP was"
        f" {enumerated(points)} images to learn from."
    ]
    gain = without_nan(asdict(curve.gain))
    if gain["low"] is not None:
        sentences.append(
            f"By a power law{references.cite(HESTNESS)} fitted to 1 - AP, twice as many images would have changed AP"
            f" by {gain['value']:+.3f} (95% interval {gain['low']:+.3f} to {gain['high']:+.3f})."
        )
    return sentences


def _final(card: Card) -> str:
    run, train = card["training"], card["data"]["train"]
    return (
        f"A final model was then trained on all {counted(train['images'], 'image')} for"
        f" {counted(run['epochs'], 'epoch')}. It was not tested itself."
    )


def _span(values: Sequence[Any], words: Callable[[Any], str] = str) -> str:
    """`48`, or `47 to 48`."""
    low, high = words(min(values)), words(max(values))
    return low if low == high else f"{low} to {high}"
