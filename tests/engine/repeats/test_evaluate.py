"""Several trainings as one result: from files as trainings leave them, so that the numbers are known."""

from __future__ import annotations

import csv
import json
import random

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import cvtk
from cvtk.analysis.study import matches_of
from cvtk.analysis.thresholds import choose_thresholds
from cvtk.data import read
from cvtk.data.coco import to_dict
from cvtk.engine.card import options_record
from cvtk.engine.evaluate import statistics_of, write_statistics
from cvtk.engine.repeats.done import card_file, stats_file
from cvtk.engine.repeats.evaluate import _tested
from cvtk.engine.repeats.plan import make_plan
from cvtk.engine.repeats.train import train_repeatedly
from cvtk.errors import DataError
from cvtk.metrics import evaluate

AP = "AP@[0.50:0.95|all|100]"


def found_by(run):
    """Predictions of objects as they are labelled, of which more are found the more images it learned from."""
    rng = random.Random(run.title)
    found = []
    for item in to_dict(run.sets["test"])["annotations"]:
        score = rng.random()
        if item.get("iscrowd") or score > 0.3 + len(run.sets["train"].images) / 20:
            continue
        kept = {key: item[key] for key in ("image_id", "category_id", "bbox")}
        found.append({**kept, "score": score, "id": len(found) + 1})
    return found


@pytest.fixture(scope="module")
def done(spec, many, make_folder):
    """12 trainings that are done: their options, their predictions, and what came of all of them."""
    from cvtk.options import TrainOptions

    options = TrainOptions(
        many.train,
        output_weights=make_folder("out") / "a.pth",
        device="cpu",
        folds=2,
        seeds=2,
        learning_curve=True,
        resume=True,
        group_by=r"plant\d",
    )
    plan = make_plan(spec, options)
    found = {}
    for run in plan.runs:
        run.options.workspace.mkdir()
        run.weights.touch()
        card = {"options": options_record(run.options)}
        card_file(run.weights).write_text(json.dumps(card))
        tested, key = run.sets["test"], run.weights.name.partition(".fold")[0]
        own = found_by(run)
        found.setdefault(key, []).extend(own)
        write_statistics(
            statistics_of(tested, own, "det"),
            own,
            run.options.workspace,
            stats_file(run.weights),
            force=False,
        )
    model, stats = train_repeatedly(spec, options)
    assert model is spec, "none of the models has learned from all images"
    return options, found, stats


def test_the_folds_together_are_one_evaluation(done, many):
    options, found, stats = done
    expected = evaluate(many.train, found["a"], "bbox").stats
    assert stats["stats"] == pytest.approx(expected)
    folder = options.output.parent / "a.folds"
    assert stats == json.loads((folder / "test_stats.json").read_text())
    pooled = json.loads((folder / "test_outputs.coco.json").read_text())
    assert [item["id"] for item in pooled] == list(range(1, len(found["a"]) + 1))
    assert [fold["images"] for fold in stats["folds"]] == [8, 8]


def test_each_fold_is_cut_at_scores_chosen_on_the_others(done, many):
    options, found, stats = done
    dataset = read(many.train)
    folds = stats["folds"]
    for fold in folds:
        others = dataset.subset(
            i for i in dataset.images if i.id not in fold["image_ids"]
        )
        rest = [p for p in found["a"] if p["image_id"] not in fold["image_ids"]]
        expected = choose_thresholds(matches_of(others, rest, "bbox"), draws=0)
        assert fold["cut_at"] == expected.by_class
    assert folds[0]["cut_at"] != folds[1]["cut_at"]
    report = (options.output.parent / "a.folds" / "report.html").read_text()
    assert "Each fold is cut at scores of its own" in report


def test_with_a_validation_set_each_fold_has_the_scores_of_its_own_model(
    spec, many, chosen
):
    plan = make_plan(spec, chosen(train=many.train, valid=many.valid, folds=2))
    for run, score in zip(plan.runs, (0.4, None), strict=True):
        run.options.workspace.mkdir(parents=True)
        told = statistics_of(run.sets["test"], [], "det")
        if score is not None:  # nothing was found by the other, to choose one on
            told["cut_at"] = dict.fromkeys(spec.classes, score)
        file = stats_file(run.weights)
        write_statistics(told, [], run.options.workspace, file, force=False)
    cuts = _tested(spec, plan, plan.repeats[0]).cuts
    assert [set(by_class.values()) for _, by_class in cuts.folds] == [{0.4}, {0.3}]
    assert f"chosen on the validation set {many.valid}" in cuts.notes[0]
    assert "For fold 2 none could be chosen" in cuts.notes[1]


def test_images_of_a_group_are_drawn_together(done):
    options, _, stats = done
    assert sorted(map(len, stats["groups"])) == [2] * 8
    report = (options.output.parent / "a.folds" / "report.html").read_text()
    assert "1000 random draws of 8 groups of images" in report
    assert "tested on 16 images of 8 groups" in stats["note"]
    told = cvtk.compare(
        options.output.parent / "a.folds", options.output.parent / "a.folds"
    )
    assert told.everything.units == 8 and "0.3" not in told.notes[-1].split()


def test_the_seeds_are_evaluations_of_their_own(done, many):
    options, found, stats = done
    aps = [
        evaluate(many.train, found[key], "bbox").stats[AP] for key in ("a", "a.seed1")
    ]
    told = stats["seeds"]["stats"]["AP"]
    assert told["values"] == pytest.approx(aps)
    assert told["mean"]["value"] == pytest.approx(sum(aps) / 2)
    assert told["deviation"] == pytest.approx(abs(aps[0] - aps[1]) / 2**0.5)
    with options.output.with_name("a.seeds.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["seed 1"]) == pytest.approx(aps[1], abs=1e-6)


def test_the_points_of_the_curve_are_means_over_the_seeds(done, many):
    options, found, stats = done
    points = stats["learning_curve"]
    assert [point["images"] for point in points] == [2, 4, 8, 16]
    for point, part in zip(points, ("a.25percent", "a.50percent", "a"), strict=False):
        aps = [
            evaluate(many.train, found[key], "bbox").stats[AP]
            for key in (part, f"{part}.seed1")
        ]
        assert point["AP"] == pytest.approx(sum(aps) / 2)
    assert options.output.with_name("a.learning_curve.png").stat().st_size > 1000


def test_it_is_said_in_the_report_and_in_the_note(done):
    options, _, stats = done
    report = (options.output.parent / "a.folds" / "report.html").read_text()
    assert "by the one of 2 models that had not learned from it" in report
    for text in ("AP of the 2 folds is", "AP of 2 seeds is", "line through 3 points"):
        assert text in report and text in stats["note"]


def test_parts_with_nothing_to_learn_are_refused_before_anything_is_trained(
    spec, demo, chosen
):
    # Of four images one is empty, and may be the quarter.
    for seed in range(9):
        options = chosen(test=demo.test, learning_curve=True, seed=seed, valid=None)
        try:
            parts = make_plan(spec, options).runs
        except DataError as error:
            assert "25% of the images, 1 to learn from" in str(error)
            return
        assert all(read(demo.train) and run.sets["train"].annotations for run in parts)
    pytest.fail("no seed chose the empty image")
