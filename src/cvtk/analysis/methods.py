"""A training as a paragraph for a paper: in the past tense, with references, and nothing that was not done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cvtk.options import USUAL_SHARE
from cvtk.words import counted, enumerated

Card = Mapping[str, Any]
"""A run card, as `cvtk.engine.card` writes it."""

MMDETECTION = "Chen K. et al. (2019). MMDetection: Open MMLab Detection Toolbox and Benchmark. arXiv:1906.07155."
PYTORCH = (
    "Paszke A. et al. (2019). PyTorch: An Imperative Style, High-Performance Deep Learning Library."
    " Advances in Neural Information Processing Systems 32."
)
COCO = (
    "Lin T.-Y. et al. (2014). Microsoft COCO: Common Objects in Context. ECCV 2014, 740-755."
    " arXiv:1405.0312."
)
LVIS = (
    "Gupta A., Dollar P., Girshick R. (2019). LVIS: A Dataset for Large Vocabulary Instance Segmentation. CVPR 2019."
    " arXiv:1908.03195."
)
BOOTSTRAP = "Efron B., Tibshirani R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall."

KINDS = {"segm": "masks", "det": "boxes"}
TASKS = {"segm": "Instance segmentation", "det": "Object detection"}
STARTS = {
    "none": "from random weights",
    "scenes": "from weights that were trained on drawn scenes",
    "imagenet": "from a backbone that was trained on ImageNet",
    "coco": "from weights that were trained on COCO",
}


class References:
    """The numbered list of what is cited, in the order of the text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cite(self, text: str) -> str:
        """` [1]`, for a reference that may have been cited before."""
        if text not in self.texts:
            self.texts.append(text)
        return f" [{self.texts.index(text) + 1}]"


def methods_text(card: Card) -> str:
    """The paragraph and its references, as Markdown.

    Args:
        card: The run card of the training; what is not in it is not said.
    """
    references = References()
    sentences = [*training_sentences(card, references), *time_sentences([card])]
    return listed(sentences, references)


def training_sentences(card: Card, references: References) -> list[str]:
    """What one training did, and how good its model is."""
    return [
        model_sentence(card, references),
        _training(card),
        *_schedule(card),
        *balance_sentences(card, references),
        *_validation(card),
        *_test(card, references),
    ]


def listed(sentences: Sequence[str], references: References) -> str:
    """A paragraph and what it cites, as Markdown."""
    lines = [" ".join(sentences), "", "References:", ""]
    lines += [f"{n}. {text}" for n, text in enumerate(references.texts, 1)]
    return "\n".join(lines) + "\n"


def model_sentence(card: Card, references: References) -> str:
    """Which architecture was used, by which software."""
    model, versions = card["model"], card["versions"]
    cited = ""
    if model["paper"]:
        cited = references.cite(f"{model['paper']}. {model['paper_url']}".strip())
    return (
        f"{TASKS[model['task']]} was done with {model['family']} ({model['architecture']}){cited}"
        f" in MMDetection {versions['mmdet']}{references.cite(MMDETECTION)} and PyTorch"
        f" {versions['torch']}{references.cite(PYTORCH)}, configured and run by cvtk {versions['cvtk']}."
    )


def _training(card: Card) -> str:
    train, run = card["data"]["train"], card["training"]
    start = STARTS.get(
        card["options"]["weights"], "from weights of an earlier training"
    )
    resumed = " and with at least one interruption" if run["resumed"] else ""
    return f"The model was trained on {set_words(train)} for {counted(run['epochs'], 'epoch')}, starting {start}{resumed}."


def _schedule(card: Card) -> list[str]:
    run, options = card["training"], card["options"]
    text = f"Each step took {counted(run['images_per_step'], 'image')}"
    text += size_words(card)
    text += (
        f"; the optimizer was {run['optimizer']} with a learning rate of {run['lr']:.3g}"
        f" at its highest, and the seed was {options['seed']}."
    )
    if run["transforms"]:
        text += f" Training images were prepared by MMDetection's {enumerated(run['transforms'])}."
    return [text]


def balance_sentences(card: Card, references: References) -> list[str]:
    """Which images were seen more often; nothing where all were seen as often."""
    if not card["options"].get("balance"):
        return []
    rule = references.cite(LVIS)
    return [
        f"Images with rare classes were seen more often, by repeat factor sampling{rule} with a threshold of {USUAL_SHARE}."
    ]


def size_words(card: Card) -> str:
    """How large the images were; empty where that was the architecture's own size."""
    learned = card["options"]["image_size"]
    if not learned:
        return ""
    predicted = min(card["training"].get("predicted_size") or [learned])
    later = f" ({predicted} pixels when predicted)" if predicted > learned else ""
    return f", scaled to {learned} pixels{later}"


def _validation(card: Card) -> list[str]:
    valid, weights = card["data"].get("valid"), card["weights"]
    if valid is None:
        return ["The weights of the last epoch were used."]
    sentences = []
    if weights["epoch"] is not None and card["validation"]:
        name, value = next(iter(card["validation"].items()))
        sentences.append(
            f"The weights of epoch {weights['epoch']} were used, which had the highest {name} ({value:.3f})"
            f" on {set_words(valid)}, not used for training."
        )
    cuts = card["cut_at"]
    if cuts:
        sentences.append(
            f"On these images the lowest score of a prediction that counts was chosen {_scores(cuts)},"
            f" {AIMS[card['options']['aim'].partition('=')[0]].format(card['options']['aim'])}."
        )
    return sentences


def _scores(cuts: Mapping[str, Any]) -> str:
    """For what scores were chosen, and which they are; classes with few objects have the common one."""
    common, by_class = cuts["common"], cuts["by_class"]
    if all(score == common for score in by_class.values()):
        return f"for all classes together ({common:.2f})"
    scores = ", ".join(f"{name} {score:.2f}" for name, score in by_class.items())
    few = [name for name, score in by_class.items() if score == common]
    together = f"; for {enumerated(few)} that of all classes together" if few else ""
    return f"for each class ({scores}{together})"


AIMS = {
    "f1": "to maximise F1 at an IoU of 0.50",
    "count": "so that the counts per image came nearest to the true ones",
    "recall": "as the highest score with a {} at an IoU of 0.50",
    "precision": "as the lowest score with a {} at an IoU of 0.50",
}


def _test(card: Card, references: References) -> list[str]:
    test = card["data"].get("test")
    if test is None or not card["test"]:
        return []
    kind, metrics = KINDS[card["model"]["task"]], card["test"]["overall"]
    value = value_words(metrics["AP"])
    if not value:
        return [
            f"The model was tested on {set_words(test)}, which hold no object to be found."
        ]
    sentences = [
        f"On {set_words(test)}{untouched(card)} the average precision of {kind} (AP, the mean over IoU 0.50 to 0.95"
        f" and over classes{references.cite(COCO)}) was {value}, and AP at IoU 0.50 was"
        f" {value_words(metrics['AP50'])}."
    ]
    told = [
        f"{name} {value_words(metrics[key])}"
        for name, key in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("F1", "F1"),
        )
        if value_words(metrics[key])
    ]
    if told:
        where = "At the chosen scores" if card["cut_at"] else "From a score of 0.3 on"
        sentences.append(f"{where}, and at IoU 0.50, it had {enumerated(told)}.")
    if metrics["AP"]["low"] is not None:
        sentences.append(
            "Values in parentheses are 95% intervals from a bootstrap over"
            f" {drawn_words(test['images'], card['test'].get('groups'))}{references.cite(BOOTSTRAP)}."
        )
    return sentences


def untouched(card: Card) -> str:
    """That a test set was used for nothing else, where that holds."""
    test, *others = (card["data"].get(name, {}) for name in ("test", "train", "valid"))
    for digest in ("sha256", "images_sha256"):
        if test.get(digest) and test[digest] in [facts.get(digest) for facts in others]:
            return ","
    return ", used neither for training nor for any choice,"


def drawn_words(images: int, groups: int | None) -> str:
    """What a bootstrap drew: test images, or groups of them."""
    if groups is None or groups >= images:
        return "the test images"
    return f"the {counted(groups, 'group')} of test images that belong together"


def time_sentences(cards: Sequence[Card]) -> list[str]:
    """How long trainings took, where that is known."""
    machines = {machine_words(card["machine"]) for card in cards}
    runs = [card["training"] for card in cards]
    if len(machines) > 1 or any(run["resumed"] for run in runs):
        return []  # of one that was resumed, only the time of the last part is known
    spent = duration_words(sum(run["seconds"] for run in runs))
    what = "" if len(cards) == 1 else f" of all {len(cards)} models"
    return [f"Training and evaluation{what} took {spent} on {machines.pop()}."]


def duration_words(seconds: float) -> str:
    """`12 minutes`, `1.6 hours`."""
    minutes = seconds / 60
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def machine_words(machine: Mapping[str, Any]) -> str:
    """The GPU, or how many cores the CPU has."""
    return machine["gpu"] or f"a CPU with {counted(machine['cpus'], 'core')}"


def set_words(facts: Mapping[str, Any]) -> str:
    """`60 images with 305 objects (leaf 200, stem 105)`."""
    by_class = ", ".join(f"{name} {count}" for name, count in facts["by_class"].items())
    return f"{counted(facts['images'], 'image')} with {counted(facts['objects'], 'annotated object')} ({by_class})"


def value_words(interval: Mapping[str, float | None]) -> str:
    """`0.416 (0.35 to 0.48)`; empty where there is nothing to measure."""
    if interval["value"] is None:
        return ""
    text = f"{interval['value']:.3f}"
    if interval["low"] is None:
        return text
    return f"{text} ({interval['low']:.3f} to {interval['high']:.3f})"
