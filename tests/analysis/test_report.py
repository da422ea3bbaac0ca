"""The report as a reader meets it: complete in one file, harmless, and in words where there is no number."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scenes import CLASSES, SIZE, Scene, item, write

from cvtk.analysis import report
from cvtk.analysis.drawings import draw
from cvtk.analysis.gallery import crop_around, draw_cases, worst_cases
from cvtk.analysis.outcomes import Outcome
from cvtk.analysis.pages import error_rows
from cvtk.analysis.report import confusion, write_report
from cvtk.analysis.sentences import summary
from cvtk.analysis.study import study
from cvtk.analysis.thresholds import one_threshold
from cvtk.data import read
from cvtk.errors import FileError


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def render(told, training=None):
    """The report as HTML."""
    return report.render(told, draw(told), training)


def every_error():
    scene = Scene()
    for make, times in (
        (scene.found, 12),
        (scene.missed, 3),
        (scene.duplicate, 2),
        (scene.wrong_class, 4),
        (scene.poor_mask, 1),
        (lambda: scene.poor_mask(told="root"), 1),
        (scene.background, 5),
    ):
        for _ in range(times):
            make()
    return scene


def draw_images(folder, count=3):
    for number in range(1, count + 1):
        pixels = np.full((*SIZE, 3), 90, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def analysed(folder, scene, kind="segm", **more):
    return study(read(scene.write(folder)), scene.predictions, kind, draws=20, **more)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    draw_images(folder)
    return analysed(folder, every_error())


def test_the_page_is_complete_in_itself(told):
    page = Page(render(told))
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object"), tag
        for name in ("src", "href", "xlink:href", "action"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/jpeg;base64,")), target
    styles = " ".join(str(a.get("style")) for _, a in page.elements)
    assert "@import" not in page.text and not re.search(r"url\((?!#)", styles)
    policies = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_summary_counts_what_was_made(told):
    text = " ".join(Page(render(told)).text.split())
    assert (
        "Of 23 objects on 1 image, 14 were found (61%); 4 missed, 4 wrong class,"
        " 1 poor mask." in text
    )
    assert "Of 27 predictions, 14 are right (52%)" in text


def scene_of(**found_and_missed):
    scene = Scene()
    for name, (found, missed) in found_and_missed.items():
        for _ in range(found):
            scene.found(name)
        for _ in range(missed):
            scene.missed(name)
    return scene


@pytest.mark.parametrize(
    ("scene", "weakest"),
    [
        (
            {"leaf": (18, 2), "stem": (12, 8)},
            "“stem” is found least: 12 of 20 objects (60%)",
        ),
        ({"leaf": (18, 2), "stem": (17, 3)}, None),  # hardly differ
        ({"leaf": (18, 2), "stem": (0, 9)}, None),  # too few to be said
        ({"stem": (12, 8)}, None),  # there is no other
    ],
)
def test_the_class_that_is_found_least_is_named(scene, weakest, tmp_path):
    text = " ".join(summary(analysed(tmp_path, scene_of(**scene))))
    assert weakest in text if weakest else "is found least" not in text


def test_errors_are_counted_by_class(told):
    rows = {row["name"]: row for row in error_rows(told)}
    assert {name: row["count"] for name, row in rows.items()} == {
        "missed": 4,
        "duplicate": 2,
        "wrong class": 4,
        "poor mask": 1,
        "wrong class and poor mask": 1,
        "background": 5,
    }
    assert rows["wrong class"]["classes"] == ["stem: 4"], "as it was predicted"
    assert error_rows(told)[0]["share"] == 100


def test_a_second_class_for_a_found_object_is_told_apart(tmp_path):
    scene = Scene()
    scene.found("leaf")
    scene.predictions.append({**scene.predictions[0], "category_id": 2, "score": 0.5})
    scene.wrong_class("leaf", told="stem")
    told = analysed(tmp_path, scene)
    rows = {row["name"]: row for row in error_rows(told)}
    assert rows["wrong class"]["count"] == 2
    assert rows["wrong class"]["also_found"] == 1
    text = " ".join(Page(render(told)).text.split())
    assert "1 of them on objects that are found as what they are, too" in text


def test_every_kind_of_error_is_shown(told):
    page = Page(render(told))
    pictures = [a["src"] for tag, a in page.elements if tag == "img"]
    assert len(pictures) == 2 * (4 + 5 + 4 + 1 + 1 + 2)
    for picture in pictures:
        data = base64.b64decode(picture.removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(data)) as image:
            assert max(image.size) == 300


def test_truth_and_prediction_are_drawn_apart(told):
    [missed, *_] = draw_cases(told, worst_cases(told, Outcome.MISSED, most=1))
    [false, *_] = draw_cases(told, worst_cases(told, Outcome.BACKGROUND, most=1))

    def is_coloured(picture):
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            middle = np.asarray(image).astype(int)[150, 150]
        return np.ptp(middle) > 20  # the image itself is grey

    assert is_coloured(missed.true) and not is_coloured(missed.found)
    assert is_coloured(false.found) and not is_coloured(false.true)


def test_what_may_be_missing_in_the_labels_is_said(tmp_path):
    draw_images(tmp_path)
    scene = Scene()
    for score in np.linspace(0.6, 0.9, 10):
        scene.found(score=score)
    scene.background(score=0.95)
    scene.background(score=0.4)
    told = analysed(tmp_path, scene)
    cases = worst_cases(told, Outcome.BACKGROUND)
    assert [case.look_again for case in cases] == [True, False]
    assert render(told).count("Check the label:") == 1


def test_of_few_right_predictions_nobody_knows_how_sure_a_model_is(tmp_path):
    scene = Scene()
    for _ in range(9):
        scene.found(score=0.6)
    scene.background(score=0.95)
    told = analysed(tmp_path, scene)
    assert not worst_cases(told, Outcome.BACKGROUND)[0].look_again


def test_what_a_lower_score_would_find_is_said(tmp_path):
    scene = Scene()
    for score in (0.9, 0.2, 0.1):
        scene.found(score=score)
    scene.missed()
    text = Page(render(analysed(tmp_path, scene))).text
    assert "2 of the objects that are missed would be found with a lower score" in text
    assert "below the cut: leaf, score 0.20" in text
    scene.predictions.pop()
    scene.predictions.pop()
    text = Page(render(analysed(tmp_path, scene))).text
    assert "lower score" not in text.split("Metrics")[0]


def test_a_crop_has_context_and_stays_in_the_image():
    assert crop_around([[100, 100, 40, 20]], (320, 240)) == (80, 70, 160, 150)
    assert crop_around([[0, 0, 10, 10]], (320, 240)) == (0, 0, 64, 64)
    assert crop_around([[0, 0, 300, 10]], (320, 240)) == (0, 0, 320, 240)


def test_a_class_named_script_does_no_harm(tmp_path):
    name = "<script>alert('x')</script>"
    draw_images(tmp_path)
    truth = [item(1, "leaf", [10, 10, 20, 20]), item(1, "leaf", [90, 90, 20, 20])]
    file = write(tmp_path, truth, images=1, classes=[name, "$\\frac{", "_hidden"])
    found = [
        {**truth[0], "score": 0.9},
        item(1, "stem", [90, 90, 20, 20], score=0.8),
        item(1, "root", [200, 90, 20, 20], score=0.8),
    ]
    page = Page(render(study(read(file), found, "segm", draws=5)))
    assert not [tag for tag, _ in page.elements if tag == "script"]
    assert name in page.text and "$\\frac{" in page.text


def test_what_has_no_object_is_said_in_words(told):
    text = " ".join(Page(render(told)).text.split())
    assert "none there" in text and "nan" not in text.lower().split()
    assert "No object of “stem” or “root” is on these images" in text


@pytest.mark.parametrize("what", ["truth", "predictions"])
def test_nothing_to_report_on(what, tmp_path):
    scene = every_error()
    setattr(scene, what, [])
    text = " ".join(Page(render(analysed(tmp_path, scene))).text.split())
    expected = {"truth": "There is no object", "predictions": "No prediction reaches"}
    assert expected[what] in text


def test_images_that_are_gone_leave_their_names(tmp_path):
    text = Page(render(analysed(tmp_path, every_error()))).text
    assert "The image cannot be read." in text and "1.png" in text


def test_boxes_are_called_boxes(tmp_path):
    text = " ".join(
        Page(render(analysed(tmp_path, every_error(), "bbox"))).text.split()
    )
    assert "1 poor box" in text and "mask" not in text


def test_more_objects_than_predictions_is_a_warning(tmp_path):
    scene = Scene()
    for _ in range(4):
        scene.found()
    for _ in range(3):
        scene.missed()
    text = Page(render(analysed(tmp_path, scene))).text
    assert "1.png holds 7 objects, and no image has more than 4 predictions" in text


def test_scores_chosen_elsewhere_are_used_and_shown(tmp_path):
    told = analysed(
        tmp_path, every_error(), thresholds=one_threshold(list(CLASSES), 0.85)
    )
    text = Page(render(told)).text
    assert "0.85" in text and "from a score of 0.85 on" in text
    assert told.is_kept.sum() == 14


def test_the_curves_of_the_training_are_shown(told, tmp_path):
    table = "epoch\tlr\tloss\ttime\n1\t0.1\t2.5\t1\n2\t0.1\t\t1\n"
    (tmp_path / "a.train_stats.train.txt").write_text(table, encoding="utf-8")
    table = "coco/segm_mAP\tcoco/segm_mAP_50\tstep\n0.1\t0.2\t1\n0.3\t0.4\t2\n"
    (tmp_path / "a.train_stats.valid.txt").write_text(table, encoding="utf-8")
    text = Page(render(told, tmp_path / "a")).text
    assert "Losses by epoch" in text and "AP on the validation set by epoch" in text
    assert "Losses by epoch" not in Page(render(told, tmp_path / "b")).text


def test_confusions_are_named(told):
    assert confusion(told)["pairs"] == [("leaf", "stem", 4)]


def test_nothing_is_replaced_unasked(told, tmp_path):
    write_report(told, [], tmp_path / "report.html")
    with pytest.raises(FileError, match="exists already"):
        write_report(told, [], tmp_path / "report.html")
    write_report(told, [], tmp_path / "report.html", force=True)
