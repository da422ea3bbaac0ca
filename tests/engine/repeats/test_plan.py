"""Which images each training gets: never one that it is tested on, groups whole, the smaller parts in the larger."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.data import read
from cvtk.engine.repeats.plan import make_plan
from cvtk.errors import DataError, OptionError


@pytest.fixture
def planned(spec, many, chosen):
    def plan(**changes):
        given = {"train": many.train, "valid": None, "epoch": 4, **changes}
        return make_plan(spec, chosen(**given))

    return plan


def ids(dataset):
    return {image.id for image in dataset.images}


def names(plan):
    return [run.weights.name for run in plan.runs]


def test_each_image_is_tested_once_by_a_model_that_has_not_learned_from_it(planned):
    plan = planned(folds=3)
    assert names(plan) == [f"a.v2.fold{k}.pth" for k in (1, 2, 3)]
    tested = [ids(run.sets["test"]) for run in plan.runs]
    assert sorted(image for part in tested for image in part) == sorted(ids(plan.train))
    for run, part in zip(plan.runs, tested, strict=True):
        assert ids(run.sets["train"]) == ids(plan.train) - part


def test_groups_are_not_parted(planned):
    def plant(image):
        return image.file_name.partition("_")[0]

    for run in planned(folds=4, group_by=r"plant\d", learning_curve=True).runs:
        learned = {plant(image) for image in run.sets["train"].images}
        assert not learned & {plant(image) for image in run.sets["test"].images}


def test_groups_of_a_table(planned, many, tmp_path):
    rows = [
        f"{image.file_name},{i % 2}" for i, image in enumerate(read(many.train).images)
    ]
    table = tmp_path / "sites.csv"
    table.write_text("\n".join(["file_name,site", *rows]))
    plan = planned(folds=2, group_by="site", group_table=table)
    assert [len(run.sets["test"].images) for run in plan.runs] == [8, 8]
    with pytest.raises(
        DataError, match="16 images in 2 groups cannot be dealt out to 3"
    ):
        planned(folds=3, group_by="site", group_table=table)


def test_the_parts_of_a_learning_curve_lie_in_each_other(planned, many):
    plan = planned(learning_curve=True, test=many.test)
    assert names(plan) == ["a.v2.pth", "a.v2.50percent.pth", "a.v2.25percent.pth"]
    whole, half, quarter = (ids(run.sets["train"]) for run in plan.runs)
    assert (len(whole), len(half), len(quarter)) == (16, 8, 4)
    assert quarter < half < whole
    # Equally many steps: what differs is the images.
    assert [run.options.epoch for run in plan.runs] == [4, 8, 16]
    assert len({tuple(sorted(ids(run.sets["test"]))) for run in plan.runs}) == 1


def test_with_fewer_images_everything_comes_after_as_many_steps(planned, many):
    every = {"save_every": 2, "validate_every": 3}
    plan = planned(learning_curve=True, test=many.test, **every)
    assert [run.options.save_every for run in plan.runs] == [2, 4, 8]
    assert [run.options.validate_every for run in plan.runs] == [3, 6, 12]


def test_seeds_share_the_folds_but_not_the_parts(planned, many):
    plan = planned(seeds=2, folds=2, learning_curve=True)
    assert len(plan.runs) == 2 * 2 * 3
    assert names(plan)[6:8] == ["a.v2.seed4.fold1.pth", "a.v2.seed4.fold2.pth"]
    assert {run.options.seed for run in plan.runs} == {3, 4}
    tested = Counter(tuple(sorted(ids(run.sets["test"]))) for run in plan.runs)
    assert list(tested.values()) == [6, 6]
    assert plan.runs[0].title == "fold 1 of 2, seed 3, 100% of the images"
    parts = planned(seeds=2, learning_curve=True, test=many.test).repeats
    images = {(r.seed, r.share): ids(r.runs[0].sets["train"]) for r in parts}
    assert images[3, 100] == images[4, 100] and images[3, 25] != images[4, 25]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 2, "test": "b.json"}, "--folds makes its own test sets"),
        ({"fold": 1}, "--fold and --final need --folds"),
        ({"folds": 2, "fold": 3}, "--fold 3: there are 2, from 1 on"),
        ({"folds": 2, "fold": 1, "final": True}, "--final comes after all folds"),
        ({"seeds": 3}, "--seeds needs images to test on: --test, or --folds"),
        ({"learning_curve": True}, "--learning_curve needs images to test on"),
        ({"group_by": "x"}, "--group_by is for --folds and --learning_curve"),
        ({"folds": 2, "group_table": "a.csv"}, "--group_table needs --group_by"),
        ({"folds": 2, "print_config": True}, "--print_config shows one training"),
        ({"seed": 2**32 - 1, "seeds": 2, "folds": 2}, "leaves no room for 2 seeds"),
    ],
)
def test_what_does_not_go_together_is_said(changes, message, chosen):
    with pytest.raises(OptionError, match=message):
        chosen(**changes)
