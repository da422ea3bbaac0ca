"""Pose2Seg by both kinds of script: trained once each on dancers, and what else its users may try."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from pycocotools.coco import COCO

import cvtk
from cvtk.demo import make_demo
from cvtk.engine.config_files import read_config
from cvtk.engine.inference import predict_to_files
from cvtk.engine.journal import Journal
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.errors import DataError, FileError, OptionError
from cvtk.options import InferenceOptions
from cvtk.scripts.create import create_script

MODEL = "pose2seg_r50_fpn"
TRAIN = (
    "--epoch 2 --batch_size 2 --image_size 64 --num_workers 0 --weights none --seed 3"
    # So that a network that has hardly learned finds something: a mask is the whole square then.
    " --set model.test_cfg.threshold=0 --set model.least_side=8 --device cpu --output_weights out/dancers.pth"
)


@pytest.fixture(scope="module")
def dancers(make_folder):
    folder = make_folder("dancers")
    return make_demo(folder, images=(4, 3, 3), size=(128, 96), seed=1, poses=True)


@pytest.fixture(scope="module")
def folders(dancers, make_folder, command, call):
    """The folder of each kind of script, which has trained, evaluated and found."""
    made = {}
    for mode in ("helper", "vanilla"):
        folder = made[mode] = make_folder(mode)
        script = create_script(
            folder / "pose.py", "segm", MODEL, vanilla=mode == "vanilla"
        )
        sets = f"--train|{dancers.train}|--valid|{dancers.valid}|--test|{dancers.test}"
        weights = ["--model_weights", "out/dancers.pth", "--device", "cpu"]
        test = ["--data", str(dancers.test)]
        label = ["--label", str(dancers.label)]
        for run, arguments in (
            (command, ["train", *label, *sets.split("|"), *TRAIN.split()]),
            (call, ["evaluate", *test, *weights, "--output", "metrics"]),
            (call, ["inference", *test, *weights, "--output", "found"]),
        ):
            done = run(script, *arguments)
            assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    return made


@pytest.fixture(params=["helper", "vanilla"])
def folder(request, folders):
    return folders[request.param]


@pytest.fixture
def fails(folder, call):
    """The last line of what a command of the script says, which must fail."""

    def run(*arguments):
        done = call(folder / "pose.py", *map(str, arguments), "--device", "cpu")
        assert done.returncode == 1, done.stdout
        return done.stderr.strip().splitlines()[-1]

    return run


def stats(file):
    return json.loads(file.read_text("utf-8"))["stats"]


@pytest.mark.train
def test_both_scripts_train_the_same(folders):
    losses, metrics = [], []
    for folder in folders.values():
        table = pd.read_csv(folder / "out/dancers.train_stats.train.txt", sep="\t")
        losses.append(table[["lr", "loss", "loss_mask"]].to_numpy())
        metrics.append([*stats(folder / "out/dancers.test_stats.json").values()])
    np.testing.assert_allclose(*losses, rtol=1e-6)
    np.testing.assert_allclose(*metrics, atol=1e-6)


@pytest.mark.train
def test_evaluation_repeats_what_the_training_found(folder):
    again = stats(folder / "metrics/test_stats.json")
    assert again == stats(folder / "out/dancers.test_stats.json")


@pytest.mark.train
def test_each_mask_is_that_of_a_pose(folder, dancers):
    truth = COCO(str(dancers.test))
    found = json.loads((folder / "found/instances.json").read_text())
    assert 0 < len(found["annotations"]) <= len(truth.anns)
    assert all(item["score"] == 1 for item in found["annotations"])
    assert {i["id"] for i in found["images"]} == {*truth.imgs}
    for item in found["annotations"]:
        poses = truth.loadAnns(truth.getAnnIds(imgIds=item["image_id"]))
        mask = truth.annToMask(item)
        assert mask.any() and mask.shape == (96, 128)
        marks = [np.reshape(pose["keypoints"], (-1, 3)) for pose in poses]
        inside = [mask[p[:, 1].astype(int), p[:, 0].astype(int)].any() for p in marks]
        assert any(inside), "it touches the skeleton of one"


@pytest.mark.train
def test_the_configuration_is_complete_and_is_read_without_running_it(folder):
    file = folder / "out/dancers.py"
    own = "pose2seg" if (folder / "pose2seg").is_dir() else "cvtk.pose2seg"
    assert f"'{own}'" in file.read_text()
    cfg = read_config(file)
    assert cfg.custom_imports.imports == ["cvtk.pose2seg"], "no module of that folder"
    assert len(cfg.model.keypoints) == 13 and cfg.model.pairs[0] == [1, 2]
    assert 1 <= len(cfg.model.templates) <= 3
    assert np.shape(cfg.model.templates[0]) == (13, 3)
    assert cfg.train_dataloader.dataset.type == "PoseDataset"


@pytest.mark.train
def test_the_library_opens_the_weights_of_both_scripts(folder, dancers):
    model = cvtk.create_model(folder / "out/dancers.pth")
    found = model.evaluate(dancers.test, device="cpu")["stats"]
    assert dict(found) == pytest.approx(stats(folder / "metrics/test_stats.json"))
    for options, said in (({"tile": 64}, "--tile"), ({"tta": True}, "--tta")):
        with pytest.raises(OptionError, match=f"{said} does not go with"):
            list(model.predict(dancers.test, device="cpu", **options))
    with pytest.raises(DataError, match=r"test_001\.jpg comes without poses"):
        list(model.predict(dancers.test.parent / "images", device="cpu"))


@pytest.mark.train
def test_a_stopped_inference_does_not_go_on_with_other_poses(
    folders, dancers, tmp_path, monkeypatch
):
    """The file with the poses was changed meanwhile; what else it holds may change."""
    coco = json.loads(dancers.test.read_text())
    file = tmp_path / "poses.json"
    (tmp_path / "images").symlink_to(dancers.test.parent / "images")
    model = Predictor(open_weights(folders["helper"] / "out/dancers.pth"), "cpu")
    options = InferenceOptions(data=file, output=tmp_path / "found", draw="no")
    file.write_text(json.dumps(coco))
    add = Journal.add
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", lambda *one: [add(*one), 1 / 0])
        with pytest.raises(ZeroDivisionError):
            predict_to_files(model, options)
    options = replace(options, resume=True)
    before = coco["annotations"][0]["keypoints"][0]
    coco["annotations"][0]["keypoints"][0] += 1
    file.write_text(json.dumps(coco))
    with pytest.raises(
        FileError, match=r"begun with other poses\. Go on with the same"
    ):
        predict_to_files(model, options)
    coco["annotations"][0]["keypoints"][0] = before
    coco["info"] = {"description": "something new"}
    file.write_text(json.dumps(coco))
    assert len(json.loads(predict_to_files(model, options).read_text())["images"]) == 3


@pytest.mark.train
def test_images_without_poses_are_refused_in_a_sentence(
    folder, fails, dancers, demo, tmp_path
):
    weights = ["--model_weights", "out/dancers.pth", "--output", tmp_path / "out"]
    images = dancers.test.parent / "images"
    said = fails("inference", "--data", images, *weights)
    assert re.search("poses.*Name a COCO file with keypoints", said)
    said = fails("inference", "--data", demo.test, *weights)
    assert f"{demo.test}: no object of (dancer) has keypoints" in said

    coco = json.loads(dancers.test.read_text())
    coco["categories"][0]["keypoints"] = ["beak", "tail"]
    (tmp_path / "birds.json").write_text(json.dumps(coco))
    (tmp_path / "images").symlink_to(images)
    said = fails("inference", "--data", tmp_path / "birds.json", *weights)
    assert "has the keypoints (beak, tail), not (head, left_shoulder," in said


@pytest.mark.train
def test_sets_without_poses_are_refused_in_a_sentence(folder, fails, demo, tmp_path):
    weights = ["--output_weights", tmp_path / "a.pth", "--weights", "none"]
    sets = ["--label", demo.label, "--train", demo.train]
    said = fails("train", *sets, *weights)
    assert f"{demo.train}: the class 'strawberry' has no keypoints" in said
    assert not (tmp_path / "a.pth").exists()


def test_the_vanilla_script_has_the_architecture_beside_it(tmp_path):
    script = create_script(tmp_path / "a.py", "segm", MODEL, vanilla=True)
    text = script.read_text()
    assert len(text.splitlines()) <= 650
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 45, node.name
    for file in (tmp_path / "pose2seg").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            assert not any(name.startswith("cvtk") for name in names), file
    before = {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    create_script(tmp_path / "b.py", "segm", MODEL, vanilla=True)
    assert all(file.read_bytes() == content for file, content in before.items())
