"""The result of an evaluation is its statistics, and shows in a notebook what they mean."""

from __future__ import annotations

import functools
import json

from scenes import CLASSES, Scene, item, write

from cvtk.analysis.evaluation import Evaluation
from cvtk.analysis.study import study
from cvtk.data import read

STATISTICS = {
    "stats": {"AP@[0.50:0.95|all|100]": 0.25},
    "class_stats": {name: {"AP@[0.50:0.95|all|100]": -1.0} for name in CLASSES},
    "summary": "mask AP 0.250 on test.json, 1 images",
    "note": "-1 means that there is no object.",
}


def shown(evaluation):
    return " ".join(evaluation._repr_html_().split())


def test_it_is_a_dictionary_for_programs():
    told = Evaluation(STATISTICS, lambda: None)
    assert told == STATISTICS and json.loads(json.dumps(told)) == STATISTICS


def test_a_notebook_shows_metrics_with_intervals_and_errors(tmp_path):
    scene = Scene()
    for _ in range(60):
        scene.found()
    scene.missed()
    analyse = functools.partial(
        study, read(scene.write(tmp_path)), scene.predictions, "segm", draws=50
    )
    told = Evaluation(STATISTICS, analyse, tmp_path / "report.html")
    text = shown(told)
    assert "mask AP 0.250 on test.json" in text
    assert "Of 61 objects on 2 images, 60 were found" in text
    interval = told.study.intervals.overall["recall"]
    assert f"{interval.value:.3f}<small>{interval.low:.2f} to " in text
    assert ">missed<" in text and ">duplicate<" not in text, "errors that occur"
    assert "report.html" in text


def test_any_name_does_no_harm(tmp_path):
    truth = [item(1, "leaf", [10, 10, 20, 20])]
    file = write(tmp_path, truth, images=1, classes=["<script>"])
    found = [{**truth[0], "score": 0.9}]
    analyse = functools.partial(study, read(file), found, "segm", draws=2)
    text = shown(Evaluation(STATISTICS, analyse))
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_without_an_analysis_the_statistics_are_shown():
    text = shown(Evaluation(STATISTICS, lambda: None))
    assert "0.250" in text and "-1 means that there is no object." in text
