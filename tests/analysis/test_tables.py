"""The tables as a reader opens them."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from scenes import Scene, item, write

from cvtk.analysis.study import study
from cvtk.analysis.tables import write_tables
from cvtk.data import read
from cvtk.data.csv_files import harmless
from cvtk.errors import FileError


@pytest.fixture
def written(tmp_path):
    scene = Scene()
    for make, times in (
        (scene.found, 4),
        (scene.missed, 3),
        (scene.duplicate, 2),
        (scene.wrong_class, 1),
        (scene.background, 5),
    ):
        for _ in range(times):
            make()
    scene.background(score=0.1)
    told = study(read(scene.write(tmp_path)), scene.predictions, "segm", draws=20)
    write_tables(told, tmp_path)
    return tmp_path


def test_objects_has_a_row_for_everything(written):
    table = pd.read_csv(written / "objects.csv")
    objects = table[table.row == "object"]
    assert objects.outcome.value_counts().to_dict() == {
        "correct": 6,
        "missed": 3,
        "wrong class": 1,
    }
    predictions = table[table.row == "prediction"]
    assert predictions.outcome.value_counts().to_dict() == {
        "correct": 6,
        "background": 6,
        "duplicate": 2,
        "wrong class": 1,
    }
    assert (predictions.above_cut == "no").sum() == 1
    hit = objects[objects.outcome == "correct"].iloc[0]
    partner = predictions[predictions.number == hit.matched_to].iloc[0]
    assert partner.matched_to == hit.number and partner.score == hit.score
    assert hit.area == 400 and hit.iou == 1


def test_images_by_hand(written):
    [row] = pd.read_csv(written / "images.csv").to_dict("records")
    assert row == {
        "image": "1.png",
        "true": 10,
        "predicted": 14,
        "found": 6,
        "missed": 4,
        "wrong": 8,
        "mean_iou": 1.0,
    }


def test_metrics_has_every_class_and_metric(written):
    table = pd.read_csv(written / "metrics.csv", keep_default_na=False)
    assert list(table["class"].unique()) == ["", "leaf", "stem", "root"]
    f1 = table[(table["class"] == "") & (table.metric == "F1")]
    assert float(f1.value.iloc[0]) == pytest.approx(12 / 24)
    bias = table[(table["class"] == "leaf") & table.metric.str.startswith("count")]
    assert float(bias.value.iloc[0]) == 3  # 13 predicted, 10 true
    root = table[(table["class"] == "root") & (table.metric == "AP")]
    assert root.value.iloc[0] == "", "there is no such object"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx"])
def test_no_cell_is_a_formula(text):
    assert harmless(text) == f"'{text}"


def test_numbers_and_names_stay_what_they_are():
    assert [harmless(c) for c in (-1.5, -1, "a=b", "")] == [-1.5, -1, "a=b", ""]


def test_hostile_names_stay_in_their_cell(tmp_path):
    name = '=HYPERLINK("x"),\n"苺'
    truth = [item(1, "leaf", [10, 10, 20, 20])]
    file = write(tmp_path, truth, images=1, classes=[name])
    found = [{**truth[0], "score": 0.9}]
    write_tables(study(read(file), found, "segm", draws=5), tmp_path)
    with (tmp_path / "objects.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["class"] for row in rows] == ["'" + name] * 2


def test_nothing_is_replaced_unasked(written, tmp_path):
    scene = Scene()
    scene.found()
    told = study(read(scene.write(tmp_path)), scene.predictions, "segm", draws=5)
    with pytest.raises(FileError, match="exists already"):
        write_tables(told, written)
