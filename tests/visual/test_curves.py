"""Tables by epoch from MMEngine's logs, whose last line of an epoch has its means."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from cvtk.errors import FileError
from cvtk.visual.curves import (
    best_row,
    plot_losses,
    plot_scores,
    training_rows,
    validation_rows,
)
from cvtk.visual.training_stats import write_training_stats

SIZES = ("", "_50", "_75", "_s", "_m", "_l")
NAMES = [f"coco/{kind}_mAP{size}" for kind in ("bbox", "segm") for size in SIZES]
SCORES = {name: n / 16 for n, name in enumerate(NAMES)}


def step(epoch, number, loss, **more):
    """A line of the log: MMEngine's means of the epoch so far."""
    return {
        "base_lr": 0.02,
        "lr": 0.01 * number,
        "data_time": 0.1,
        "loss": loss,
        "loss_cls": loss / 4,
        "acc": 50.0,
        "loss_mask": loss * 3 / 4,
        "time": 1.0,
        "epoch": epoch,
        "iter": number,
        "step": number,
        **more,
    }


def validation(epoch, **scores):
    return {**scores, "data_time": 0.3, "time": 0.4, "step": epoch}


def write(folder, *lines, run="20260101_000000"):
    log = folder / "a b" / run / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_training_stats(folder / "a b", ["bbox", "segm"])
    return folder


def table(folder, split):
    return pd.read_csv(folder / f"a b.train_stats.{split}.txt", sep="\t")


@pytest.fixture
def two_epochs(tmp_path):
    return write(
        tmp_path,
        step(1, 1, 4.0),
        step(1, 2, 2.0),
        validation(1, **SCORES),
        step(2, 3, 1.0),
        step(2, 4, 0.5),
        validation(2, **{**SCORES, "coco/segm_mAP": 0.5}),
    )


def test_each_row_is_the_last_that_is_said_of_an_epoch(two_epochs):
    losses = table(two_epochs, "train")
    assert losses["epoch"].tolist() == [1, 2]
    assert losses["loss"].tolist() == [2.0, 0.5]
    assert losses["loss_mask"].tolist() == [1.5, 0.375]
    assert losses["memory"].tolist() == [0, 0], "without a GPU"


def test_what_was_broken_off_is_replaced_by_what_went_on(tmp_path):
    write(tmp_path, step(1, 2, 4.0), validation(1), step(2, 3, 9.0))
    write(
        tmp_path,
        validation(1, **SCORES),
        step(2, 4, 2.0),
        validation(2),
        run="20260101_000001",
    )
    assert table(tmp_path, "train")["loss"].tolist() == [4.0, 2.0]
    assert table(tmp_path, "valid")["step"].tolist() == [1, 2]
    assert table(tmp_path, "valid")["coco/segm_mAP"].tolist() == [0.375, 0]


def test_the_columns_are_in_the_order_of_the_tutorial(two_epochs):
    expected = "epoch lr data_time loss loss_cls acc loss_mask time memory"
    assert list(table(two_epochs, "train")) == expected.split()
    assert list(table(two_epochs, "valid")) == [*SCORES, "data_time", "time", "step"]
    assert table(two_epochs, "valid")["coco/segm_mAP"].tolist() == [0.375, 0.5]
    text = (two_epochs / "a b.train_stats.train.txt").read_text()
    assert text.splitlines()[1].startswith("1\t"), "epochs are whole numbers"


def test_both_are_plotted(two_epochs):
    for split in ("train", "valid"):
        with Image.open(two_epochs / f"a b.train_stats.{split}.png") as plot:
            assert (plot.format, min(plot.size) > 200) == ("PNG", True)
            assert len(plot.convert("RGB").getcolors(100000)) > 3, (
                "curves are in colour"
            )


def test_without_validation_there_is_no_table_of_it(tmp_path):
    write(tmp_path, step(1, 1, 4.0), step(2, 2, 2.0))
    made = {p.name for p in tmp_path.iterdir()}
    names = {"a b.train_stats.train.txt", "a b.train_stats.train.png"}
    assert made == {"a b", *names}


def test_an_epoch_that_found_nothing_counts_as_zero(tmp_path):
    # MMDetection then logs no score at all
    write(
        tmp_path,
        step(1, 1, 4.0),
        validation(1),
        step(2, 2, 2.0),
        validation(2, **SCORES),
    )
    assert table(tmp_path, "valid")["coco/segm_mAP"].tolist() == [0, 0.375]


def test_the_memory_of_a_gpu_is_kept(tmp_path):
    write(tmp_path, step(1, 1, 4.0, memory=900), step(1, 2, 2.0, memory=1100))
    assert table(tmp_path, "train")["memory"].tolist() == [1100]


def test_a_training_that_found_nothing_at_all_has_its_table(tmp_path):
    write(tmp_path, step(1, 1, 4.0), validation(1), step(2, 2, 2.0), validation(2))
    scores = table(tmp_path, "valid")
    assert list(scores)[:12] == NAMES
    assert (scores[NAMES] == 0).all(axis=None)


def test_a_log_without_parameter_groups_has_no_base_rate(tmp_path):
    # as of Mask R-CNN: MMEngine logs base_lr only where parameters differ in their rate
    lines = [step(1, 1, 4.0), step(1, 2, 2.0)]
    for line in lines:
        del line["base_lr"]
    write(tmp_path, *lines)
    assert table(tmp_path, "train")["loss"].tolist() == [2.0]


def test_half_a_line_that_a_kill_left_is_passed_over(tmp_path):
    write(tmp_path, step(1, 1, 4.0), validation(1, **SCORES), step(2, 2, 3.0))
    (log,) = (tmp_path / "a b").glob("*/vis_data/scalars.json")
    whole = log.read_text()
    for end in ('{"lr": 0.01, "loss": 1.', "[1, 2]\n", "\x00\x00\x00", "\ufffd{"):
        log.write_text(whole + end)
        write_training_stats(tmp_path / "a b", ["bbox", "segm"])
        assert table(tmp_path, "train")["loss"].tolist() == [4.0, 3.0]


def test_a_loss_that_is_no_number_is_not_hidden(tmp_path):
    write(tmp_path, step(1, 1, 4.0), step(2, 2, 2.0), step(2, 3, float("nan")))
    assert table(tmp_path, "train")["loss"].isna().tolist() == [False, True]


def test_tables_follow_the_training_epoch_by_epoch(tmp_path):
    write(tmp_path, step(1, 1, 4.0), validation(1, **SCORES))
    write(tmp_path, step(2, 2, 2.0), validation(2, **SCORES), run="20260101_000001")
    assert table(tmp_path, "train")["epoch"].tolist() == [1, 2]
    assert table(tmp_path, "valid")["step"].tolist() == [1, 2]
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def legend(figure):
    (axes,) = figure.axes
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_legend_names_losses_in_words():
    rows = training_rows([step(1, 1, 4.0, **{"s0.loss_bbox": 1.0, "s1.loss_bbox": 2})])
    figure = plot_losses(rows)
    assert legend(figure) == ["total", "classification", "masks", "boxes (2 stages)"]
    assert figure.axes[0].get_lines()[-1].get_ydata() == [3.0], "stages are added up"


def test_the_legend_names_scores_and_the_best_epoch():
    scores = [{**SCORES, "coco/segm_mAP": ap} for ap in (0.1, 0.4, 0.4, 0.2)]
    lines = [validation(epoch, **one) for epoch, one in enumerate(scores, 1)]
    rows = validation_rows(lines, ["bbox", "segm"])
    assert best_row(rows, "coco/segm_mAP")["step"] == 2, "the first of equals"
    assert legend(plot_scores(rows, ["bbox", "segm"], "coco/segm_mAP")) == [
        "mask AP",
        "mask AP50",
        "box AP",
        "box AP50",
        "best epoch: 2 (mask AP 0.400)",
    ]


def test_no_epoch_is_best_where_nothing_was_found():
    rows = validation_rows([validation(1), validation(2)], ["bbox"])
    assert best_row(rows, "coco/bbox_mAP") is None
    figure = plot_scores(rows, ["bbox"], "coco/bbox_mAP")
    assert legend(figure) == ["box AP", "box AP50"]
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == [0, 0]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 24, 300])
def test_the_axis_shows_whole_epochs(epochs):
    rows = training_rows([step(epoch, epoch, 1.0) for epoch in range(1, epochs + 1)])
    figure = plot_losses(rows)
    figure.canvas.draw()
    ticks = figure.axes[0].get_xticks()
    assert len(ticks) >= 1
    assert all(tick == int(tick) for tick in ticks)


@pytest.mark.parametrize("backend", ["TkAgg", "module://matplotlib_inline.not_there"])
def test_another_backend_and_no_docstrings_do_no_harm(tmp_path, backend):
    write(tmp_path, step(1, 1, 4.0), validation(1, **SCORES))
    before = (tmp_path / "a b.train_stats.valid.txt").read_bytes()
    for file in tmp_path.glob("a b.train_stats.*"):
        file.unlink()
    code = (
        "import pathlib, sys; from cvtk.visual.training_stats import write_training_stats;"
        "write_training_stats(pathlib.Path(sys.argv[1]), ['bbox', 'segm']);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-OO", "-c", code, tmp_path / "a b"],
        env={**os.environ, "MPLBACKEND": backend},
        check=True,
    )
    assert (tmp_path / "a b.train_stats.valid.txt").read_bytes() == before
    with Image.open(tmp_path / "a b.train_stats.valid.png") as plot:
        assert plot.format == "PNG"


def test_a_full_disk_leaves_no_half_plot(tmp_path, full_disk):
    folder = write(tmp_path, step(1, 1, 4.0), validation(1, **SCORES))
    for split in ("train", "valid"):
        plot = folder / f"a b.train_stats.{split}.png"
        room = plot.stat().st_size - 1
        plot.unlink()
        with full_disk(room), pytest.raises(FileError, match=r"cannot be written"):
            write_training_stats(folder / "a b", ["bbox", "segm"])
        assert not plot.exists()
        write_training_stats(folder / "a b", ["bbox", "segm"])
