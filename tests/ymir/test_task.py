"""env.yaml and config.yaml, as the platform writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvtk.errors import OptionError
from cvtk.ymir.failures import Code, Failure
from cvtk.ymir.task import read_environment


def test_a_training_as_the_platform_asks_for_it(tree, read):
    tree.env["run_training"] = True
    tree.config |= {"gpu_id": "0,1", "epoch": "7", "lr": "1e-3", "amp": "True"}
    task = read("training")
    assert (task.environment.task_id, task.environment.jobs) == ("t01", ["training"])
    assert (task.class_names, task.gpus, task.device) == (
        ["berry", "leaf"],
        ["0", "1"],
        "cuda:0",
    )
    settings = task.settings
    assert (settings["epoch"], settings["lr"], settings["amp"]) == (7, 0.001, True)
    assert settings["model"] == "", "the executor has a default of its own"
    assert (settings["batch_size"], settings["image_size"]) == (4, None)
    assert task.environment.output["monitor_file"] == tree.out / "monitor.txt"
    assert task.environment.output["mining_result_file"] == tree.out / "result.tsv"


def test_what_env_yaml_leaves_out_is_in_its_usual_place(tmp_path, monkeypatch):
    file = tmp_path / "env.yaml"
    file.write_text("run_infer: true\noutput: {monitor_file: /x/m.txt}\n")
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(file))
    environment = read_environment()
    assert environment.version == (0, 0, 1) and not environment.has_stages
    assert environment.jobs == ["infer"]
    assert environment.input["config_file"] == Path("/in/config.yaml")
    assert environment.input["training_index_file"] == Path("/in/train-index.tsv")
    assert environment.output["training_result_file"] == Path("/out/models/result.yaml")
    assert environment.output["monitor_file"] == Path("/x/m.txt")


@pytest.mark.parametrize(
    ("version", "has_stages"),
    [("0.0.1", False), ("1.0.0", True), (1.0, True), ("2.1.0", True)],
)
def test_stages_came_with_protocol_1(tree, read, version, has_stages):
    tree.env["protocol_version"] = version
    assert read("training").environment.has_stages is has_stages


def test_mining_comes_before_inference(tree, read):
    tree.env |= {"run_infer": True, "run_mining": True}
    (tree.inn / "models" / "a.pth").touch()
    tree.config["model_params_path"] = ["a.pth"]
    mining, infer = read("mining"), read("infer")
    assert mining.environment.jobs == ["mining", "infer"]

    def shown(task, progress):
        task.show(progress)
        return float(tree.monitor[2])

    assert [shown(mining, 0.5), shown(mining, 1.0)] == [0.25, 0.5]
    assert [shown(infer, 0.0), shown(infer, 0.5), shown(infer, 1)] == [0.5, 0.75, 1.0]


def test_no_gpu_is_an_empty_text_or_none_and_the_first_may_be_a_number(tree, read):
    for given, gpus in (("", []), (None, []), (0, ["0"]), ("0, 2", ["0", "2"])):
        tree.config["gpu_id"] = given
        assert read("training").gpus == gpus


@pytest.mark.parametrize("complete", [False, True])
def test_weights_are_found_among_the_files_of_a_stage(tree, read, complete):
    for stage in ("last", "best"):
        (tree.inn / "models" / stage).mkdir()
        (tree.inn / "models" / stage / "model.pth").touch()
    names = ["last/model.py", "last/model.pth", "best/model.pth"]
    if complete:
        names = [str(tree.inn / "models" / name) for name in names]
    tree.config["pretrained_model_params"] = names
    assert read("training").weights == tree.inn / "models" / "best" / "model.pth"
    tree.config["pretrained_model_params"] = []
    assert read("training").weights is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epoch": "many"}, r"config.yaml: epoch cannot be 'many'. Use a whole number"),
        ({"image_size": 7}, r"image_size cannot be 7. Use a whole number from 32"),
        ({"amp": "maybe"}, r"amp cannot be 'maybe'. Use True or False"),
        ({"class_names": []}, r"config.yaml names no classes"),
        ({"class_names": "berry"}, r"class_names is no list"),
    ],
)
def test_a_wrong_setting_is_named(tree, read, change, said):
    tree.config |= change
    with pytest.raises(OptionError, match=said):
        read("training")


def test_weights_that_are_missing_are_named(tree, read):
    with pytest.raises(Failure, match="names no weights") as caught:
        read("infer")
    assert caught.value.code is Code.MODEL
    tree.config["model_params_path"] = ["best/model.pth"]
    with pytest.raises(Failure, match=r"no weights at .*best/model\.pth"):
        read("infer")


@pytest.mark.parametrize(
    "text", ["[1, 2", "- a\n- b\n", "", "protocol_version: new\n", "input: 3\n"]
)
def test_an_environment_that_is_none(tmp_path, monkeypatch, text):
    file = tmp_path / "env.yaml"
    file.write_text(text)
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(file))
    with pytest.raises(Failure) as caught:
        read_environment()
    assert caught.value.code is Code.CONFIGURATION and "env.yaml" in str(caught.value)
