"""Several trainings as one paragraph: what all of them did, their range where they differ, and nothing more."""

from __future__ import annotations

import copy
import math
import re

import numpy as np
import pytest
from cards import CARD, facts

from cvtk.analysis.bootstrap import Drawn, Interval
from cvtk.analysis.learning_curve import learning_curve
from cvtk.analysis.repeated_methods import Repeated, repeated_methods_text
from cvtk.analysis.seeds import spread_over_seeds

METRICS = {
    "AP": Interval(0.5, 0.4, 0.6),
    "AP50": Interval(0.75, 0.7, 0.8),
    "precision": Interval(0.9, 0.85, 0.95),
    "recall": Interval(0.8, 0.75, 0.85),
    "F1": Interval(0.85, 0.8, 0.9),
}


def card(seed=7, images=40, epochs=24, tested=20, valid=False, **training):
    """The card of one of several trainings."""
    made = copy.deepcopy(CARD)
    made["data"] = {
        "train": facts(images, leaf=2 * images, stem=0),
        "test": facts(tested, leaf=2 * tested, stem=1),
        **({"valid": facts(6, leaf=12, stem=3)} if valid else {}),
    }
    made["options"]["seed"] = seed
    made["training"] |= {"epochs": epochs, "seconds": 600, **training}
    return made


def crossed(**changes):
    """Three folds of 61 images."""
    told = {
        "cards": [card(), card(images=41, epochs=22), card(tested=21)],
        "metrics": METRICS,
        "images": 61,
        "groups": 61,
        "folds": 3,
        "cut_on": "folds",
        "fold_ap": (0.51, 0.04),
    }
    return repeated_methods_text(Repeated(**{**told, **changes}))


def values(ap, draws=50):
    rng = np.random.default_rng(0)
    drawn = {name: np.append(ap, rng.normal(ap, 0.05, draws)) for name in METRICS}
    return Drawn(drawn, {})


def test_a_cross_validation_is_told():
    text = crossed()
    for part in (
        "Instance segmentation was done with Mask R-CNN (mask-rcnn_r50_fpn_1x_coco) [1] in MMDetection 3.4.0 [2]",
        "by cross-validation with 3 folds on 61 images with 125 annotated objects (leaf 122, stem 3)",
        "predicted by the one of 3 models that had not been trained on it",
        "Images that look alike were kept in one fold.",
        "The 3 models were trained on 40 to 41 images for 22 to 24 epochs, starting from weights that were trained on COCO.",
        "Each step took 4 images, scaled to 320 pixels; the optimizer was SGD with a learning rate of 0.005",
        "and the seed was 7.",
        "The weights of the last epoch were used.",
        "chosen for each fold and class on the predictions for the other folds, to maximise F1",
        "On the predictions of all folds together, the average precision of masks",
        "was 0.500 (0.400 to 0.600), and AP at IoU 0.50 was 0.750 (0.700 to 0.800).",
        "AP of the single folds was 0.510 on average, with a standard deviation of 0.040.",
        "At the chosen scores, and at IoU 0.50, precision was 0.900 (0.850 to 0.950),",
        "bootstrap over the test images [5].",
        "Training and evaluation of all 3 models took 30 minutes on a CPU with 8 cores.",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("changes", "unsaid"),
    [
        ({"metrics": {}}, "average precision"),
        ({"fold_ap": None}, "single folds"),
        ({"cut_on": ""}, "precision was 0.900"),
        ({"cut_on": ""}, "lowest score"),
        ({"folds": None}, "cross-validation"),
        ({"cards": [card(), card(), card(resumed=True)]}, "30 minutes"),
        ({"metrics": {n: Interval(0.5, math.nan, math.nan) for n in METRICS}}, "boot"),
        ({"cards": [card(), card(), card(transforms=["Resize"])]}, "RandomFlip"),
    ],
)
def test_what_was_not_done_is_not_told(changes, unsaid):
    assert unsaid in crossed() and unsaid not in crossed(**changes)


def test_what_is_not_given_is_not_told():
    text = crossed()
    for unsaid in ("final", "seeds", "power law", "group", "validation set", "hold"):
        assert unsaid not in text


def test_groups_are_told():
    text = crossed(groups=20, kept_together="by what the expression `plant` matches")
    assert "and so were those that belong together by what the expression" in text
    assert "which made 20 groups." in text
    assert "bootstrap over the 20 groups of test images that belong together" in text


def test_a_validation_set_is_told():
    cards = [card(valid=True) for _ in range(3)]
    text = crossed(cards=cards, cut_on="valid")
    assert (
        "Of each model the weights of the epoch with the highest mask AP on 6 images with 15 annotated objects"
        in text
    )
    assert "On these images the lowest score of a prediction that counts" in text
    assert "last epoch" not in text and "other folds" not in text
    cards[1]["weights"]["epoch"] = None
    assert "highest mask AP" not in crossed(cards=cards, cut_on="valid")


def test_scores_that_were_not_chosen():
    text = crossed(cut_on="default")
    assert "From a score of 0.3 on, and at IoU 0.50, precision was" in text
    assert "chosen" not in text


def test_a_final_model_was_not_tested():
    text = crossed(final=card(images=61, epochs=30))
    assert (
        "A final model was then trained on all 61 images for 30 epochs. It was not tested itself."
        in text
    )
    assert "of all 4 models took 40 minutes" in text


def test_machines_that_differ_have_no_time_in_common():
    cards = [card(), card(), card()]
    cards[2]["machine"] = {"gpu": "A100", "cpus": 8}
    cards[2]["versions"]["torch"] = "2.7.0"
    text = crossed(cards=cards)
    assert "took 30" not in text and "A100" not in text
    assert "PyTorch 2.6.0 and 2.7.0" in text


def test_seeds_are_told_as_means():
    seeds = spread_over_seeds([7, 8], [values(0.3), values(0.5)], 20)
    text = repeated_methods_text(
        Repeated([card(7), card(8)], seeds=seeds, images=20, groups=20, cut_on="valid")
    )
    assert "The 2 models were trained" in text and "the seeds were 7 and 8" in text
    assert "On 20 images with 41 annotated objects" in text
    assert "was 0.400 (" in text and "cross-validation" not in text
    assert "means over 2 seeds, between which AP had a standard deviation of 0.141" in (
        text
    )
    text = crossed(seeds=seeds)
    assert "was 0.400 (" in text and "0.500 (0.400" not in text
    assert "AP of the single folds of the first seed was 0.510" in text


def test_a_learning_curve_is_told_after_a_single_training():
    points = [[np.append(ap, [ap - 0.02, ap + 0.02] * 20)] for ap in (0.2, 0.3, 0.4)]
    curve = learning_curve([15, 30, 60], points, tested=20)
    smaller = [card(images=30), card(images=15)]
    told = Repeated([copy.deepcopy(CARD)], smaller, curve=curve, images=20, groups=20)
    text = repeated_methods_text(told)
    assert "The model was trained on 60" in text
    assert (
        "AP was 0.200 with 15, 0.300 with 30 and 0.400 with 60 images to learn from"
        in text
    )
    assert re.search(
        r"By a power law \[\d\] fitted to 1 - AP, twice as many images would have changed AP by \+0\.0",
        text,
    )
    assert "of all 3 models took 30 minutes" in text


def test_every_reference_is_cited_and_listed():
    seeds = spread_over_seeds([7, 8], [values(0.3), values(0.5)], 20)
    for text in (crossed(), crossed(metrics={}), crossed(seeds=seeds, groups=3)):
        paragraph, listed = text.split("References:")
        cited = sorted({int(n) for n in re.findall(r"\[(\d+)\]", paragraph)})
        assert cited == [int(n) for n in re.findall(r"^(\d+)\. ", listed, re.M)]
        assert cited == list(range(1, len(cited) + 1))
