"""The paragraph says what the card says, in the past tense, and nothing that was not done."""

from __future__ import annotations

import copy
import re

import pytest
from cards import CARD, interval

from cvtk.analysis.methods import methods_text


def text_of(**changes):
    """The paragraph of a card in which keys such as `training__resumed` are changed."""
    card = copy.deepcopy(CARD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = card
        for name in parents:
            place = place[name]
        place[last] = value
    return methods_text(card)


def test_all_that_was_done_is_told():
    text = text_of()
    for part in (
        "Instance segmentation was done with Mask R-CNN (mask-rcnn_r50_fpn_1x_coco) [1] in MMDetection 3.4.0 [2]",
        "The model was trained on 60 images with 305 annotated objects (leaf 200, stem 105)",
        "for 24 epochs, starting from weights that were trained on COCO.",
        "Each step took 4 images, scaled to 320 pixels; the optimizer was SGD",
        "a learning rate of 0.005 at its highest, and the seed was 7",
        "MMDetection's Resize and RandomFlip",
        "epoch 20 were used, which had the highest mask AP (0.520) on 12 images with 61 annotated objects",
        "chosen for each class (leaf 0.42, stem 0.35), to maximise F1",
        "On 1 image with 1 annotated object",
        "was 0.500 (0.400 to 0.600), and AP at IoU 0.50 was 0.750 (0.700 to 0.800)",
        "precision 0.900 (0.850 to 0.950), recall 0.800 (0.750 to 0.850) and F1",
        "Training and evaluation took 10 minutes on a CPU with 8 cores.",
    ):
        assert part in text
    assert "1. Mask R-CNN. https://arxiv.org/abs/1703.06870v3" in text


def test_where_images_were_larger_when_predicted_that_is_told():
    text = text_of(training__predicted_size=[480, 480])
    assert "scaled to 320 pixels (480 pixels when predicted); the" in text
    assert "(" not in text_of(training__predicted_size=[533, 320]).split("320 pixels")[1].split(";")[0]  # fmt: skip


def test_where_rare_classes_were_seen_more_often_that_is_told():
    text = text_of(options__balance=True)
    assert "rare classes were seen more often, by repeat factor sampling [4]" in text
    assert "4. Gupta A." in text
    assert "rare" not in text_of(options__balance=False)


def test_classes_with_few_objects_had_no_score_of_their_own():
    text = text_of(cut_at__common=0.35)
    assert "(leaf 0.42, stem 0.35; for stem that of all classes together)" in text
    text = text_of(cut_at__common=0.42, cut_at__by_class={"leaf": 0.42, "stem": 0.42})
    assert "was chosen for all classes together (0.42), to maximise F1" in text


def test_every_reference_is_cited_and_listed():
    for text in (text_of(), text_of(test=None), text_of(model__paper="")):
        paragraph, listed = text.split("References:")
        cited = sorted({int(n) for n in re.findall(r"\[(\d+)\]", paragraph)})
        assert cited == [int(n) for n in re.findall(r"^(\d+)\. ", listed, re.M)]
        assert cited == list(range(1, len(cited) + 1))


@pytest.mark.parametrize(
    ("changes", "unsaid"),
    [
        ({"test": None}, "IoU 0.50 to 0.95"),
        ({"cut_at": None}, "chosen"),
        ({"training__resumed": True}, "took 10 minutes"),
        ({"model__paper": ""}, "arxiv.org/abs/1703"),
        ({"options__image_size": None}, "scaled to"),
        ({"training__transforms": []}, "prepared by"),
        ({"test__overall__AP": interval(0.5)}, "bootstrap"),
        ({"options__weights": "none"}, "trained on COCO"),
    ],
)
def test_what_was_not_done_is_not_told(changes, unsaid):
    assert unsaid in text_of() and unsaid not in text_of(**changes)


def test_without_a_validation_set_the_last_epoch_is_used():
    card = copy.deepcopy(CARD)
    del card["data"]["valid"], card["data"]["test"]
    text = methods_text({**card, "cut_at": None, "validation": {}, "test": None})
    assert "The weights of the last epoch were used." in text
    assert "test" not in text.split("References")[0]


@pytest.mark.parametrize(
    ("aim", "told"),
    [
        ("count", "counts per image came nearest"),
        ("recall=0.95", "the highest score with a recall=0.95"),
        ("precision=0.9", "the lowest score with a precision=0.9"),
    ],
)
def test_what_scores_were_chosen_for(aim, told):
    assert told in text_of(options__aim=aim)


def test_what_a_bootstrap_drew():
    assert "bootstrap over the test images" in text_of()
    text = text_of(data__test__images=40, test__groups=12)
    assert "over the 12 groups of test images that belong together" in text
    text = text_of(data__test__images=40, test__groups=40)
    assert "bootstrap over the test images" in text


@pytest.mark.parametrize("digest", ["sha256", "images_sha256"])
@pytest.mark.parametrize("other", ["train", "valid"])
def test_a_test_set_that_was_used_for_something_else(digest, other):
    text = text_of(**{f"data__test__{digest}": "abc", f"data__{other}__{digest}": "d"})
    assert "used neither for training nor for any choice" in text
    text = text_of(
        **{f"data__test__{digest}": "abc", f"data__{other}__{digest}": "abc"}
    )
    assert "nor for any choice" not in text and "the average precision" in text


def test_a_test_set_without_objects():
    text = text_of(test__overall__AP=interval(None))
    assert "hold no object to be found" in text
