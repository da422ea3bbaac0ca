"""The stages of a model, and result.yaml."""

from __future__ import annotations

import pytest

from cvtk.ymir.stages import validations, write_stage


@pytest.fixture
def add(tree, read):
    """Adds a stage with one file."""
    environment = read("training").environment
    source = tree.inn / "some.file"
    source.write_text("weights")

    def add(name, **metrics):
        write_stage(environment, name, {"model.pth": source}, metrics)

    return add


def test_a_stage(tree, add):
    add("epoch-20", maskAP=0.4, boxAP=0.5)
    add("last", maskAP=0.3, boxAP=0.6)
    found = tree.result()
    assert (found["best_stage_name"], found["maskAP"]) == ("epoch_20", 0.4)
    stage = found["model_stages"]["epoch_20"]
    assert isinstance(stage.pop("timestamp"), int)
    assert stage == {
        "stage_name": "epoch_20",
        "files": ["model.pth"],
        "maskAP": 0.4,
        "boxAP": 0.5,
    }
    file = tree.out / "models" / "epoch_20" / "model.pth"
    assert file.read_text() == "weights"


def test_of_equals_the_latest_is_the_best(tree, add):
    for name in ("a", "b", "c"):
        add(name, maskAP=0.25 if name == "c" else 0.5)
    assert tree.result()["best_stage_name"] == "b"


def test_the_oldest_that_is_not_the_best_goes(tree, add):
    for number in range(13):
        add(f"epoch_{number}", maskAP=0.9 if number == 0 else 0.1)
    found = tree.result()
    kept = ["epoch_0", *(f"epoch_{number}" for number in range(3, 13))]
    assert sorted(found["model_stages"]) == sorted(kept)
    assert found["best_stage_name"] == "epoch_0"
    assert not (tree.out / "models" / "epoch_2").exists()
    assert (tree.out / "models" / "epoch_0" / "model.pth").is_file()


def test_the_best_detector_is_the_one_with_the_highest_map(tree, add):
    add("best", mAP=0.5)
    add("last", mAP=0.25)
    found = tree.result()
    assert (found["best_stage_name"], found["mAP"]) == ("best", 0.5)
    assert "maskAP" not in found


def test_before_protocol_1_there_is_one_flat_result(tree, read, add):
    tree.env["protocol_version"] = "0.0.1"
    source = tree.inn / "some.file"
    write_stage(
        read("training").environment, "best", {"model.pth": source}, {"maskAP": 0.5}
    )
    found = tree.result()
    assert isinstance(found.pop("timestamp"), int)
    assert found == {"model": ["model.pth"], "stage_name": "best", "maskAP": 0.5}
    assert (tree.out / "models" / "model.pth").is_file()


def test_the_metrics_of_each_epoch_are_those_that_the_training_noted(read):
    task = read("training")
    table = task.work / "model.train_stats.valid.txt"
    table.write_text(
        "coco/bbox_mAP\tcoco/segm_mAP\tstep\n0.25\t0.125\t1\n-1.0\t0.5\t2\n"
    )
    assert validations(task) == [
        {"maskAP": 0.125, "boxAP": 0.25},
        {"maskAP": 0.5, "boxAP": -1.0},
    ]
    table.write_text("coco/bbox_mAP\tstep\n0.25\t1\n")
    assert validations(task) == [{"mAP": 0.25}], "of a detector"
