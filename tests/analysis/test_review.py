"""The worst cases as a COCO file: labels as they are, predictions in classes of their own, label errors named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from scenes import CLASSES, SIZE, Scene

from cvtk.analysis.review import CHECK, likely_label_errors, review, write_review
from cvtk.analysis.study import study
from cvtk.data import read
from cvtk.data.convert import convert
from cvtk.metrics import ground_truth


@pytest.fixture
def scene():
    """Errors of each kind; two predictions are surer than most of the right ones."""
    scene = Scene()
    for score in np.linspace(0.7, 0.9, 10):
        scene.found("leaf", score=score)
        scene.found("stem", score=score)
    scene.missed("root")
    scene.background("leaf", score=0.95)  # an object that nobody labelled?
    scene.background("leaf", score=0.5)
    scene.wrong_class("leaf", told="stem", score=0.99)  # labelled as another one?
    scene.poor_mask("stem", score=0.6)
    scene.found("root", score=0.8)
    again = {"category_id": CLASSES.index("leaf") + 1, "score": 0.4}
    scene.predictions.append({**scene.predictions[-1], **again})  # found as such, too
    return scene


@pytest.fixture
def analysed(scene, tmp_path):
    return study(read(scene.write(tmp_path)), scene.predictions, "segm", draws=2)


def test_likely_label_errors_are_those_that_the_model_is_surest_of(analysed):
    scores = analysed.matches.found.score
    likely = [scores[case.found] for case in likely_label_errors(analysed)]
    assert likely == [0.99, 0.95]


def test_the_file_is_coco_and_holds_the_labels_as_they_are(analysed, scene, tmp_path):
    file = tmp_path / "worst.json"
    write_review(analysed, file)
    loaded = COCO(str(file))
    names = [c["name"] for c in loaded.loadCats(loaded.getCatIds())]
    assert names == [*CLASSES, *(CHECK + name for name in CLASSES)]
    items = json.loads(file.read_text())["annotations"]
    labels = [a for a in items if a["category_id"] <= len(CLASSES)]
    before = json.loads((tmp_path / "truth.json").read_text())["annotations"]
    assert [a["bbox"] for a in labels] == [a["bbox"] for a in before]
    assert [a.get("description") for a in labels].count("missed by the model") == 1
    assert len({a["id"] for a in items}) == len(items)
    ground_truth(file)  # which every evaluation can read
    truth = {a["description"]: a for a in items if "likely_label_error" in a}
    texts = [t for t, a in truth.items() if a["likely_label_error"]]
    assert sorted(texts) == [
        "likely label error: background: predicted leaf, score 0.95, nothing labelled",
        "likely label error: wrong class: predicted stem, score 0.99, labelled leaf",
    ]
    assert "poor mask: predicted stem, score 0.60, labelled stem" in truth


def test_predictions_are_polygons_that_can_be_edited(analysed):
    found = [a for a in review(analysed).annotations if a.category_id > len(CLASSES)]
    assert found
    for annotation in found:
        assert isinstance(annotation.segmentation, list)


def test_it_opens_in_labelme(analysed, tmp_path):
    image = Image.new("RGB", SIZE[::-1])
    image.save(tmp_path / "1.png")
    write_review(analysed, tmp_path / "worst.json")
    convert(tmp_path / "worst.json", tmp_path / "labelme", target_format="labelme")
    shapes = json.loads((tmp_path / "labelme" / "1.json").read_text())["shapes"]
    described = {shape["description"]: shape["label"] for shape in shapes}
    told = (
        "likely label error: background: predicted leaf, score 0.95, nothing labelled"
    )
    assert described[told] == "check: leaf"
    assert described["missed by the model"] == "root"


def test_nothing_went_wrong(tmp_path):
    scene = Scene()
    scene.found()
    analysed = study(read(scene.write(tmp_path)), scene.predictions, "segm", draws=2)
    write_review(analysed, tmp_path / "worst.json")
    assert json.loads((tmp_path / "worst.json").read_text())["images"] == []


def test_boxes(scene, tmp_path):
    analysed = study(read(scene.write(tmp_path)), scene.predictions, "bbox", draws=2)
    found = [a for a in review(analysed).annotations if a.category_id > len(CLASSES)]
    assert found and not any(a.has_mask for a in found)
