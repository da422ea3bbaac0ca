"""The report of an evaluation: beside the metrics, and never in their way."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from PIL import Image

from cvtk import data
from cvtk.data.masks import to_rle
from cvtk.engine.evaluate import (
    FIGURES,
    REPORT,
    REVIEW,
    TABLES,
    read_truth,
    statistics_of,
    write_analysis,
)
from cvtk.engine.spec import ModelSpec
from cvtk.metrics import ground_truth


@pytest.fixture
def evaluated(demo):
    """The demo's test set, and predictions that are all right."""
    truth = data.read(demo.test)
    sizes = {image.id: image.size for image in truth.images}
    predictions = [
        {
            "image_id": a.image_id,
            "category_id": a.category_id,
            "segmentation": to_rle(a.segmentation, *sizes[a.image_id]),
            "bbox": a.bbox,
            "score": 0.9,
        }
        for a in truth.annotations
        if not a.is_crowd
    ]
    return truth, predictions


def spec(task, folder):
    return ModelSpec("a", folder / "a.py", task, ["leaf"], [1])


@pytest.mark.parametrize("task", ["segm", "det"])
def test_the_report_and_its_tables_are_written(task, evaluated, tmp_path, caplog):
    write_analysis(spec(task, tmp_path), *evaluated, tmp_path / "out", force=False)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {REPORT, REVIEW, FIGURES, *TABLES}
    figures = {path.name for path in (tmp_path / "out" / FIGURES).iterdir()}
    assert {"reliability.svg", "precision_recall.strawberry.png"} <= figures
    page = (tmp_path / "out" / REPORT).read_text("utf-8")
    objects = sum(not o.is_crowd for o in ground_truth(evaluated[0]).objects)
    assert re.search(rf"Of {objects} objects on 3 images, {objects} were found", page)
    assert "report.html" in caplog.text


def test_images_that_look_alike_are_one_group(demo, tmp_path):
    shutil.copytree(demo.test.parent, tmp_path / "test")
    file = tmp_path / "test" / demo.test.name
    content = json.loads(file.read_text())
    first = content["images"][0]
    twin = {**first, "id": 99, "file_name": "twin.jpg"}
    with Image.open(file.parent / first["file_name"]) as image:
        image.point(lambda value: min(value + 2, 255)).save(file.parent / "twin.jpg")
    content["images"].append(twin)
    file.write_text(json.dumps(content))
    names = [category["name"] for category in content["categories"]]
    truth = read_truth(file, ModelSpec("a", tmp_path / "a.py", "det", names, [1, 2, 3]))
    assert ground_truth(truth).groups.tolist() == [0, 1, 2, 0]
    assert statistics_of(truth, [], "det")["groups"] == [[first["id"], 99]]
    assert "groups" not in statistics_of(data.read(file), [], "det")


def test_a_report_that_fails_is_said_and_no_more(evaluated, tmp_path, caplog):
    truth, predictions = evaluated
    predictions[0]["score"] = float("nan")
    write_analysis(spec("segm", tmp_path), truth, predictions, tmp_path, force=False)
    assert not (tmp_path / REPORT).exists()
    assert "could not be written" in caplog.text
    assert "The metrics are complete" in caplog.text
