"""AP of each class by epoch, from the log to a table and to curves."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from cvtk.analysis.figures import svg
from cvtk.visual.class_curves import class_rows, class_scalars, plot_classes
from cvtk.visual.training_stats import write_training_stats


def metrics(ap):
    """What a validation holds of a class."""
    return {"segm_mAP": ap, "segm_mAP_50": ap * 2, "segm_mAP_s": ap, "bbox_mAP": ap}


def test_what_is_logged_of_a_class():
    assert class_scalars({"a/b": metrics(0.25)}) == {
        "coco/segm_mAP/a/b": 0.25,
        "coco/segm_mAP_50/a/b": 0.5,
        "coco/bbox_mAP/a/b": 0.25,
    }


def test_the_table_has_a_row_per_epoch(tmp_path):
    lines = [
        {"coco/segm_mAP": 0.2, "step": 1},
        {**class_scalars({"leaf": metrics(0.25), "stem": metrics(-1)}), "step": 1},
        {**class_scalars({"leaf": metrics(0.375), "stem": metrics(-1)}), "step": 2},
    ]
    log = tmp_path / "a" / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_training_stats(tmp_path / "a", ["bbox", "segm"])
    table = pd.read_csv(tmp_path / "a.train_stats.classes.txt", sep="\t")
    assert table["step"].tolist() == [1, 2]
    assert table["coco/segm_mAP/leaf"].tolist() == [0.25, 0.375]
    assert table["coco/segm_mAP/stem"].tolist() == [-1, -1], "there is none"
    assert (tmp_path / "a.train_stats.classes.png").stat().st_size > 10_000


def test_an_older_log_has_no_classes():
    assert class_rows([{"coco/segm_mAP": 0.2, "step": 1}], ["segm"]) == []


def test_one_step_after_another_that_was_broken_off_counts():
    lines = [
        {**class_scalars({"leaf": metrics(0.25)}), "step": 1},
        {**class_scalars({"leaf": metrics(0.5)}), "step": 1},
    ]
    [row] = class_rows(lines, ["segm"])
    assert row["coco/segm_mAP/leaf"] == 0.5


@pytest.mark.parametrize("name", ["_leaf", "$x^", "<script>", "葉", "a\nb", "\x1b[2J"])
def test_any_name_can_be_drawn(name):
    rows = [{"step": 1, f"coco/segm_mAP/{name}": 0.5}]
    drawn = svg(plot_classes(rows, "segm"))
    assert "<script>" not in drawn and "\x1b" not in drawn
    if name == "_leaf":
        assert "_leaf" in drawn


def test_of_many_classes_those_are_drawn_that_need_it_most():
    rows = [{"step": 1, **{f"coco/segm_mAP/c{n}": n / 20 for n in range(20)}}]
    drawn = plot_classes(rows, "segm")
    names = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert names == [f"c{n}" for n in range(10)]
    assert drawn.axes[0].get_title() == "The 10 of 20 classes with the lowest AP"
