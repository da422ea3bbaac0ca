"""Two models on the same images: the numbers are those of two evaluations, the sentence claims no more than they show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scenes import CLASSES, item, random_scene, write

from cvtk.analysis.comparison import Rival, compare_predictions
from cvtk.analysis.matching import match
from cvtk.analysis.thresholds import Thresholds
from cvtk.data import read
from cvtk.metrics import evaluate, from_predictions, ground_truth

KEYS = {
    "AP": "AP@[0.50:0.95|all|100]",
    "AP50": "AP@[0.50|all|1000]",
    "AP75": "AP@[0.75|all|1000]",
    "AR": "AR@[0.50:0.95|all|100]",
}


def leaves(folder, images=30, seed=0):
    """A data set of leaves, four on each image."""
    rng = np.random.default_rng(seed)
    truth = [
        item(image, "leaf", [x, y, 30, 30])
        for image in range(1, images + 1)
        for x, y in ((10, 10), (100, 10), (10, 100), (100, 100))
    ]
    return read(write(folder, truth, images)), truth, rng


def guesses(truth, rng, spread):
    """Predictions of a model whose boxes are off by so many pixels."""
    found = []
    for true in truth:
        x, y = (max(0.0, v + round(rng.normal(0, spread))) for v in (true["bbox"][:2]))
        score = float(rng.uniform(0.4, 1))
        found.append(item(true["image_id"], "leaf", [x, y, 30, 30], score=score))
    return found


def test_a_model_and_itself_cannot_be_told_apart(tmp_path):
    dataset, truth, rng = leaves(tmp_path)
    found = guesses(truth, rng, 3)
    told = compare_predictions(dataset, Rival("A", found), Rival("B", found), "segm")
    assert "A and B cannot be told apart on these 30 images" in told.sentence
    for difference in told.everything.overall.values():
        change = difference.change
        assert (change.value, change.low, change.high) == (0, 0, 0)
        assert not difference.is_sure


def test_a_model_that_is_off_is_worse_in_either_order(tmp_path):
    dataset, truth, rng = leaves(tmp_path)
    good = Rival("good", guesses(truth, rng, 1))
    bad = Rival("bad", guesses(truth, rng, 5))
    for pair in ((good, bad), (bad, good)):
        told = compare_predictions(dataset, *pair, "segm")
        assert told.sentence.startswith("good is better than bad on these 30 images")
        assert told.everything.overall["AP"].is_sure


@pytest.fixture(scope="module")
def trained(make_folder):
    """40 test images of `cvtk demo`, and what one training found in them after 3, 27 and 30 epochs.

    The models are RTMDet-Ins tiny from scratch, on 60 images; kept are the boxes of the surest 12 objects per image.
    """
    content = json.loads((Path(__file__).parent / "trained.json").read_text("utf-8"))

    def coco(image, category, x, y, width, height, *score):
        known = {"image_id": image, "category_id": category, "iscrowd": 0}
        known |= {"bbox": [x, y, width, height], "area": width * height}
        return {**known, "score": score[0]} if score else known

    truth = [coco(*row) for row in content["truth"]]
    folder = make_folder("trained")
    dataset = read(write(folder, truth, content["images"], content["classes"]))

    def rival(name):
        return Rival(name, [coco(*row) for row in content["predictions"][name]])

    return dataset, rival


def test_a_training_and_a_tenth_of_it(trained):
    dataset, rival = trained
    pair = rival("27 epochs"), rival("3 epochs")
    for first, second in (pair, pair[::-1]):
        told = compare_predictions(dataset, first, second, "bbox", draws=200)
        assert told.sentence.startswith("27 epochs is better than 3 epochs on these 40")
        assert all(d.is_sure for d in told.everything.overall.values())


def test_a_training_and_hardly_more_of_it(trained):
    dataset, rival = trained
    told = compare_predictions(
        dataset, rival("27 epochs"), rival("30 epochs"), "bbox", draws=200
    )
    change = told.everything.overall["AP"].change
    assert change.value != 0 and change.low < 0 < change.high
    assert "cannot be told apart on these 40 images" in told.sentence


def test_few_images_show_nothing(tmp_path):
    dataset, truth, rng = leaves(tmp_path, images=5)
    good = Rival("good", guesses(truth, rng, 1))
    told = compare_predictions(dataset, good, Rival("none", []), "segm")
    assert "cannot be told apart on these 5 images" in told.sentence
    assert "fewer than 6 images" in told.sentence
    assert not any(d.is_sure for d in told.everything.overall.values())


def test_images_of_one_group_count_once(tmp_path):
    """30 photographs of 5 plants: what 30 plants would show, five do not."""
    dataset, truth, rng = leaves(tmp_path)
    pair = Rival("A", guesses(truth, rng, 1)), Rival("B", guesses(truth, rng, 5))
    assert compare_predictions(dataset, *pair, "segm").everything.overall["AP"].is_sure
    for image in dataset.images:
        image.group = f"plant {image.id % 5}"
    told = compare_predictions(dataset, *pair, "segm")
    assert not told.everything.overall["AP"].is_sure
    assert "on these 30 images" in told.sentence
    assert "fewer than 6 groups of images cannot show more" in told.sentence
    assert any("The 30 images are 5 groups" in note for note in told.notes)


def test_nothing_to_be_found(tmp_path):
    dataset = read(write(tmp_path, [], images=8))
    told = compare_predictions(dataset, Rival("A", []), Rival("B", []), "segm")
    assert "there is no object to be found" in told.sentence
    assert "none there" in str(told)


@pytest.mark.parametrize("seed", range(3))
def test_the_values_are_those_of_two_evaluations(seed, tmp_path):
    truth, first = random_scene(seed, images=8, crowd=True)
    second = first[::2]
    file = write(tmp_path, truth, images=8)
    told = compare_predictions(
        read(file), Rival("A", first), Rival("B", second), "segm", draws=5
    )
    one, two = (evaluate(file, found, "segm") for found in (first, second))
    for name, key in KEYS.items():
        difference = told.everything.overall[name]
        assert difference.first == pytest.approx(one.stats[key], abs=1e-9)
        assert difference.second == pytest.approx(two.stats[key], abs=1e-9)
        expected = two.stats[key] - one.stats[key]
        assert difference.change.value == pytest.approx(expected, abs=1e-9)
        for label in CLASSES:
            value = np.nan_to_num(told.everything.by_class[label][name].first, nan=-1)
            assert value == pytest.approx(one.class_stats[label][key], abs=1e-9)


def test_each_group_is_as_if_it_were_alone(tmp_path):
    truth, found = random_scene(3, images=8)
    file = write(tmp_path, truth, images=8)
    dataset = read(file)
    sites = ["north" if image.id <= 5 else "south" for image in dataset.images]
    told = compare_predictions(
        dataset, Rival("A", found), Rival("B", found[::2]), "segm", sites, "site"
    )
    assert [(g.name, g.images) for g in told.groups] == [("north", 5), ("south", 3)]
    content = json.loads(file.read_text())
    content["images"] = content["images"][:5]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] <= 5]
    file.write_text(json.dumps(content))
    alone = evaluate(file, [p for p in found if p["image_id"] <= 5], "segm")
    for name, key in KEYS.items():
        value = told.groups[0].overall[name].first
        assert value == pytest.approx(alone.stats[key], abs=1e-9)
    assert "AP, site north (5 images)" in str(told)


def test_the_interval_is_that_of_drawing_the_same_images_for_both(tmp_path):
    """Recall is a ratio of two sums over images: drawn here image by image."""
    truth, first = random_scene(5, images=20)
    true = ground_truth(write(tmp_path, truth, images=20))
    second = first[1::2]
    told = compare_predictions(
        read(tmp_path / "truth.json"),
        Rival("A", first, Thresholds(dict.fromkeys(CLASSES, 0.0), 0, [])),
        Rival("B", second, Thresholds(dict.fromkeys(CLASSES, 0.0), 0, [])),
        "segm",
        draws=4000,
    ).everything.overall["recall"]
    chosen = np.random.default_rng(7).integers(0, 20, (4000, 20))
    recalls = []
    for found in (first, second):
        matches = match(true, from_predictions(true, found, "segm"), "segm")
        objects = np.bincount(matches.true_image, minlength=21)[1:]
        hits = matches.found.image[matches.is_true[0]]
        counts = np.bincount(hits, minlength=21)[1:]
        recalls.append(counts[chosen].sum(axis=1) / objects[chosen].sum(axis=1))
    drawn = recalls[1] - recalls[0]
    width = 2 * 2.093 * np.sqrt(20 / 19) * drawn.std()  # t with 19 degrees of freedom
    assert told.change.high - told.change.low == pytest.approx(width, rel=0.06)


def test_equal_models_are_rarely_told_apart(tmp_path):
    """Two models that are equally good on the whole, and differ on each image by chance."""
    apart = 0
    for seed in range(40):
        dataset, truth, rng = leaves(tmp_path, images=25, seed=seed)
        pair = [Rival(name, guesses(truth, rng, 3)) for name in "AB"]
        told = compare_predictions(dataset, *pair, "segm", draws=200)
        apart += told.everything.overall["AP"].is_sure
    assert apart <= 6, "2 of 40 are expected; 7 or more come once in 300 runs"


def test_a_notebook_shows_any_name(tmp_path):
    dataset, truth, rng = leaves(tmp_path, images=8)
    found = guesses(truth, rng, 3)
    told = compare_predictions(
        dataset, Rival("<script>", found), Rival("B", found), "segm", draws=5
    )
    assert "<script>" not in told._repr_html_()
    assert "&lt;script&gt;" in told._repr_html_()


def test_the_table_for_programs(tmp_path):
    dataset, truth, rng = leaves(tmp_path, images=8)
    found = guesses(truth, rng, 3)
    told = compare_predictions(dataset, Rival("A", found), Rival("B", []), "segm")
    rows = list(told.rows())
    assert {row["class"] for row in rows} == {"", *CLASSES}
    [ap] = [row for row in rows if row["metric"] == "AP" and row["class"] == "leaf"]
    assert (ap["first_model"], ap["second_model"], ap["second"]) == ("A", "B", 0)
    assert ap["difference"] == pytest.approx(-ap["first"])
