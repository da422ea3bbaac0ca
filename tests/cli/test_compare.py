"""`cvtk compare` on what evaluations leave."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

import cvtk
from cvtk.cli import main
from cvtk.data import read
from cvtk.data.masks import to_rle
from cvtk.io import decode_mask, encode_mask


def run(*words):
    return CliRunner().invoke(main, ["compare", *map(str, words)])


@pytest.fixture
def evaluated(demo, tmp_path):
    """Two folders as `evaluate` writes them: one finds all of the training images' objects, one the first half."""
    dataset = read(demo.train)
    sizes = {image.id: image.size for image in dataset.images}
    found = [
        {
            "image_id": a.image_id,
            "category_id": a.category_id,
            "segmentation": encode_mask(
                decode_mask(to_rle(a.segmentation, *sizes[a.image_id]))
            ),
            "bbox": a.bbox,
            "score": 0.9,
        }
        for a in dataset.annotations
        if not a.is_crowd
    ]
    stats = {"computed_on": f"{demo.train}, 4 images", "cut_at": {}}
    for name, kept in (("all", found), ("half", found[: len(found) // 2])):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test_outputs.coco.json").write_text(json.dumps(kept))
        cuts = dict.fromkeys(dataset.class_names, 0.5)
        (folder / "test_stats.json").write_text(json.dumps({**stats, "cut_at": cuts}))
    return tmp_path / "all", tmp_path / "half"


def test_two_folders(evaluated, demo, tmp_path):
    done = run(*evaluated, "--output", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    assert f"on these 4 images of {demo.train}" in done.output
    assert "AP50" in done.output and "0.50" in done.output
    rows = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    told = cvtk.compare(*evaluated)
    assert len(rows) == len(list(told.rows()))
    assert told.everything.overall["recall"].first == 1


def test_by_a_column_of_a_table(evaluated, demo, tmp_path):
    names = [image.file_name for image in read(demo.train).images]
    lines = ["file_name,site", *(f"{n},{'ab'[i % 2]}" for i, n in enumerate(names))]
    (tmp_path / "sites.csv").write_text("\n".join(lines))
    done = run(*evaluated, "--by", "site", "--groups", tmp_path / "sites.csv")
    assert done.exit_code == 0, done.output
    assert "site a (2 images)" in done.output and "site b (2 images)" in done.output


def test_an_expression_that_fits_no_name(evaluated):
    for by in ("site", "("):
        done = run(*evaluated, "--by", by)
        assert done.exit_code == 1
        assert f"--by {by!r}" in done.stderr and len(done.stderr.splitlines()) == 1


def test_predictions_alone_need_the_annotations(evaluated, demo, tmp_path):
    files = [folder / "test_outputs.coco.json" for folder in evaluated]
    for folder in evaluated:
        (folder / "test_stats.json").unlink()
    done = run(*files)
    assert done.exit_code == 1
    assert "--data" in done.stderr and len(done.stderr.splitlines()) == 1
    assert run(*files, "--data", demo.train).exit_code == 0


def test_an_evaluation_in_tiles(evaluated, demo):
    stats = evaluated[1] / "test_stats.json"
    told = f"{demo.train}, 4 images in tiles of 640 pixels"
    stats.write_text(json.dumps({"computed_on": told}))
    assert run(*evaluated).exit_code == 0


def test_different_sets_are_not_compared(evaluated, demo):
    stats = evaluated[1] / "test_stats.json"
    stats.write_text(json.dumps({"computed_on": f"{demo.test}, 3 images"}))
    done = run(*evaluated)
    assert done.exit_code == 1
    assert str(demo.train) in done.stderr and str(demo.test) in done.stderr


@pytest.mark.parametrize("content", ["{", "{}", "[3]", "[]", '[{"image_id": 1}]'])
def test_damaged_predictions_end_in_a_line(evaluated, content):
    (evaluated[1] / "test_outputs.coco.json").write_text(content)
    done = run(*evaluated)
    if content != "[]":  # which is a model that finds nothing
        assert done.exit_code == 1
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("cuts", [3, {}, {"strawberry": "0.5"}, {"other": 0.5}])
def test_scores_to_cut_at_that_do_not_fit_are_left_aside(evaluated, demo, cuts):
    stats = {"computed_on": f"{demo.train}, 4 images", "cut_at": cuts}
    (evaluated[1] / "test_stats.json").write_text(json.dumps(stats))
    done = run(*evaluated)
    assert done.exit_code == 0, done.output
    assert f"{evaluated[1]} from 0.3" in done.output


def test_a_cross_validation_is_cut_and_drawn_as_its_folds_and_groups_are(
    evaluated, demo
):
    dataset = read(demo.train)
    ids = [image.id for image in dataset.images]
    scores = [dict.fromkeys(dataset.class_names, score) for score in (0.5, 0.95)]
    folds = [
        {"fold": n, "image_ids": part, "cut_at": own}
        for n, part, own in zip((1, 2), (ids[:2], ids[2:]), scores, strict=True)
    ]
    told = {"computed_on": f"{demo.train}, 4 images", "folds": folds}
    stats = evaluated[0] / "test_stats.json"
    stats.write_text(json.dumps({**told, "groups": [[ids[0], ids[3]]]}))
    done = cvtk.compare(*evaluated)
    assert done.everything.units == 3
    assert "0.50 to 0.95" in done.notes[-1]
    # All predictions have a score of 0.9: none of the second fold counts.
    per_image = dataset.by_image()
    counts = [sum(not a.is_crowd for a in per_image[id_]) for id_ in ids]
    recall = sum(counts[:2]) / sum(counts)
    assert done.everything.overall["recall"].first == pytest.approx(recall)


@pytest.mark.parametrize(
    "damage",
    [
        {"folds": 3, "groups": 3},
        {"folds": [3], "groups": [3]},
        {"folds": [], "groups": []},
        {"folds": [{"cut_at": {"strawberry": 0.5}}], "groups": [[{}], ["nobody", 99]]},
        {"folds": [{"image_ids": [1], "cut_at": {"other": 0.5}}]},
    ],
)
def test_damaged_statistics_are_left_aside(evaluated, demo, damage):
    stats = {"computed_on": f"{demo.train}, 4 images", **damage}
    (evaluated[1] / "test_stats.json").write_text(json.dumps(stats))
    done = run(*evaluated)
    assert done.exit_code == 0, done.output
    assert f"{evaluated[1]} from 0.3" in done.output


def test_nothing_is_replaced_unasked(evaluated, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    done = run(*evaluated, "--output", tmp_path / "out.csv")
    assert done.exit_code == 1 and "exists already" in done.stderr
    assert run(*evaluated, "--output", tmp_path / "out.csv", "--force").exit_code == 0
