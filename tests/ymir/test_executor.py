"""An executor, run on trees such as the platform gives it: training, mining, inference, and failures."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pycocotools.coco import COCO
from trees import CLASSES, Tree

import cvtk

pytest.importorskip("mmdet", reason="needs MMDetection")
pytest.importorskip("tensorboard", reason="needs tensorboard")

import mmdet

from cvtk.ymir.create import create_executor
from cvtk.ymir.datasets import prepare
from cvtk.ymir.run import JOB, command
from cvtk.ymir.task import read_environment, read_task

TRAINING = {
    "epoch": 2,
    "batch_size": 1,
    "image_size": 64,
    "weights": "none",
    "num_workers": 0,
    "lr": "0.004",
}


@pytest.fixture(scope="module")
def tiny(make_folder):
    """A configuration that reports also what a hardly trained model is unsure of."""
    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (base,) = configs.rglob("rtmdet-ins_tiny_8xb32-300e_coco.py")
    file = make_folder("configuration") / "tiny.py"
    changes = "model = dict(test_cfg=dict(score_thr=0.001, max_per_img=20))"
    file.write_text(f"_base_ = {str(base)!r}\n{changes}\n")
    return file


def training(folder, tiny, first_id=1, **config):
    """A tree that asks for a training on five images, with three to validate."""
    tree = Tree(folder, first_id)
    tree.env["run_training"] = True
    tree.add_images(8)
    tree.index("train", range(5))
    tree.index("val", range(5, 8))
    tree.config |= {**TRAINING, "model": str(tiny), **config}
    return tree


@pytest.fixture(scope="module")
def trained(executor, tiny, make_folder):
    """A tree after its training, and each progress that was shown meanwhile."""
    tree = training(make_folder("trained"), tiny, first_id=0)
    shown, ended = [], threading.Event()

    def watch():
        while not ended.wait(0.05):
            if (tree.out / "monitor.txt").exists():
                shown.append(float(tree.monitor[2]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        said = tree.run(executor)
    finally:
        ended.set()
        watcher.join()
    shown.append(float(tree.monitor[2]))  # the watcher may have looked away before
    return tree, shown, said


@pytest.mark.train
def test_a_training_leaves_a_stage_for_the_last_and_the_best_epoch(trained):
    tree, _, _ = trained
    assert tree.monitor[0::2] == ["t01", "1.00", "0"] and tree.monitor[3] == "2"
    found = tree.result()
    assert set(found["model_stages"]) == {"last", "best"}
    best = found["model_stages"][found["best_stage_name"]]
    for name, stage in found["model_stages"].items():
        assert stage["stage_name"] == name
        assert stage["files"] == ["model.pth", "model.py", "label.txt"]
        assert 0 <= stage["maskAP"] <= best["maskAP"] == found["maskAP"]
        folder = tree.out / "models" / name
        assert sorted(f.name for f in folder.iterdir()) == sorted(stage["files"])
        assert cvtk.create_model(folder / "model.pth").classes == CLASSES
    left = {path.name for path in tree.out.iterdir()}
    assert left == {"models", "monitor.txt", "tensorboard"}, "the platform's files"


@pytest.mark.train
def test_the_metrics_of_a_stage_are_those_of_its_weights(trained, tmp_path, executor):
    tree, _, _ = trained
    coco = json.loads(tree.annotations.read_text())
    coco["images"] = coco["images"][5:]
    kept = {image["id"] for image in coco["images"]}
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in kept]
    coco["categories"] = coco["categories"][:2]
    coco["annotations"] = [{**a, "id": a["id"] + 1} for a in coco["annotations"]]
    file = tree.inn / "assets" / "valid.json"
    file.write_text(json.dumps(coco))
    try:
        for name, stage in tree.result()["model_stages"].items():
            model = cvtk.create_model(tree.out / "models" / name / "model.pth")
            stats = model.evaluate(file, device="cpu")
            for ours, own in (("maskAP", "stats"), ("boxAP", "bbox_stats")):
                value = stats[own]["AP@[0.50:0.95|all|100]"]
                assert stage[ours] == pytest.approx(value, abs=1e-3)
    finally:
        file.unlink()


@pytest.mark.train
def test_progress_follows_the_training_and_never_goes_back(trained):
    _, shown, _ = trained
    assert shown == sorted(shown)
    assert shown[0] <= 0.02 and shown[-1] == 1.0
    assert any(0.02 < progress < 0.97 for progress in shown)


@pytest.mark.train
def test_tensorboard_has_a_value_for_each_step_and_each_validation(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tree, _, _ = trained
    events = EventAccumulator(str(tree.out / "tensorboard"))
    events.Reload()
    assert {"loss", "lr", "coco/segm_mAP", "coco/bbox_mAP"} <= {
        *events.Tags()["scalars"]
    }
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 11))
    assert [event.step for event in events.Scalars("coco/segm_mAP")] == [5, 10]


@pytest.mark.train
def test_mining_and_inference_in_one_task(trained, executor, tmp_path):
    tree = Tree(tmp_path)
    tree.add_images(3)
    tree.index("candidate", [2, 0, 1], annotated=False)
    (tree.inn / "models").rmdir()
    (tree.inn / "models").symlink_to(trained[0].out / "models")
    tree.env |= {"run_mining": True, "run_infer": True, "protocol_version": "1.0.0"}
    files = [f"best/{name}" for name in ("label.txt", "model.py", "model.pth")]
    tree.config |= {"model_params_path": files, "score": 0.001, "top_k": 4}
    tree.run(executor)
    assert tree.monitor[2:] == ["1.00", "2", "0"]
    rows = [r.split("\t") for r in (tree.out / "result.tsv").read_text().splitlines()]
    assert {row[0] for row in rows} == {str(tree.image(number)) for number in range(3)}
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True) and min(scores) >= 0
    found = COCO(str(tree.out / "infer-result.json"))
    names = [image["file_name"] for image in found.imgs.values()]
    assert names == [tree.image(number).name for number in (2, 0, 1)]
    assert [category["name"] for category in found.cats.values()] == CLASSES
    assert [len(found.getAnnIds(image)) for image in found.imgs] == [4, 4, 4]
    for item in found.anns.values():
        assert 0 < item["confidence"] <= 1 and item["category_id"] in (0, 1)
        assert item["segmentation"]["size"] == [64, 96]


@pytest.mark.train
def test_a_training_goes_on_from_weights_of_another(trained, executor, tiny, tmp_path):
    before = trained[0].out / "models" / "best"
    names = [str(before / name) for name in ("model.py", "model.pth")]
    tree = training(tmp_path, tiny, epoch=1, pretrained_model_params=names)
    tree.env["protocol_version"] = "0.0.1"
    said = tree.run(executor)
    assert f"Starts from {before / 'model.pth'}; new for your classes: nothing" in said
    found = tree.result()
    assert set(found) == {"model", "timestamp", "stage_name", "maskAP", "boxAP"}
    files = {path.name for path in (tree.out / "models").iterdir()}
    assert files == {*found["model"], "result.yaml"}


@pytest.mark.train
def test_a_detector_learns_and_finds_boxes(tmp_path, monkeypatch):
    """The functions of the program, called here one after the other: starting it is tested with masks."""
    folder = create_executor(tmp_path / "det", "det", "rtmdet_tiny")
    program = runpy.run_path(str(folder / "executor.py"))
    tree = Tree(tmp_path / "tree")
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(tree.inn / "env.yaml"))
    tree.env["run_training"] = True
    tree.add_images(4)
    tree.write_boxes()
    tree.index("train", range(2), boxes=True)
    tree.index("val", range(2, 4), boxes=True)
    tree.config |= {**TRAINING, "epoch": 1, "batch_size": 2}
    work(tree, program["train"], "training")
    assert set(tree.result()) == {"model_stages", "best_stage_name", "mAP"}

    tree.index("candidate", [3, 1], annotated=False)
    best = str(tree.out / "models" / "best" / "model.pth")
    tree.env |= {"run_training": False, "run_infer": True}
    tree.config |= {"model_params_path": [best], "score": 0.0, "top_k": 3}
    work(tree, program["infer"], "infer")
    found = json.loads((tree.out / "infer-result.json").read_text())["detection"]
    assert [*found] == [tree.image(number).name for number in (3, 1)]
    for image in found.values():
        assert len(image["boxes"]) == 3
        for item in image["boxes"]:
            assert item["class_name"] in CLASSES and min(item["box"].values()) >= 0


def work(tree, function, job):
    """Does one job of a tree in this process."""
    tree.write()
    task = read_task(read_environment(), job)
    task.work.mkdir(exist_ok=True)
    prepare(task)
    function(task)


@pytest.mark.train
def test_several_processes_train_as_one(executor, tiny, tmp_path, monkeypatch):
    tree = training(tmp_path, tiny, epoch=1, batch_size=2)
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(tree.inn / "env.yaml"))
    environment = {**tree.write(), JOB: "training", "OMP_NUM_THREADS": "1"}
    task = read_task(read_environment(), "training")
    task.work.mkdir()
    prepare(task)
    task.gpus[:] = [
        "0",
        "1",
    ]  # here without them: torchrun starts two processes on the CPU
    monkeypatch.setattr(sys, "argv", [str(executor)])
    started = command(task)
    assert started[1:5] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
    ]
    done = subprocess.run(started, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(tree.result()["model_stages"]) == {"last", "best"}
    assert len(list((tree.out / "tensorboard").iterdir())) == 1
    assert "3/3" not in done.stdout and "2/2" in done.stdout, "steps of 2 x 2 images"


def failed(tree, executor, code):
    """What an executor says of a task that fails, and that the monitor shows the code."""
    said = tree.run(executor, code=1)
    assert tree.monitor[3:] == ["4", str(code)]
    assert f"(code {code})" in said.splitlines()[-1]
    assert "Traceback" not in said
    return said


@pytest.mark.train
def test_a_training_that_is_killed(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny, epoch=1000)
    process = tree.start(executor)
    deadline = time.monotonic() + 120
    while not list(tree.out.glob("tensorboard/*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(children.split()[0]), signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert tree.monitor[3:] == ["4", "160004"]
    assert "The training was killed (signal 9). Often the memory" in said
    assert not (tree.out / "models" / "result.yaml").exists()


@pytest.mark.train
def test_a_loss_that_is_no_number(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny, lr=1000, epoch=20)
    assert "The loss is not a number" in failed(tree, executor, 300201)


def test_gpus_that_are_not_there(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny, gpu_id="77")
    assert "PyTorch sees 0 of them" in failed(tree, executor, 300102)


def test_a_wrong_configuration(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny, epoch="often")
    assert "epoch cannot be 'often'" in failed(tree, executor, 300001)


def test_an_environment_that_asks_for_nothing(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny)
    tree.env["run_training"] = False
    assert "asks for nothing" in failed(tree, executor, 300001)


def test_an_empty_index(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny)
    tree.index("train", [])
    assert "train-index.tsv names no images" in failed(tree, executor, 300002)


def test_an_image_that_cannot_be_read(executor, tiny, tmp_path):
    tree = training(tmp_path, tiny)
    tree.image(6).write_bytes(b"\xff\xd8\xff cut off")
    assert tree.image(6).name in failed(tree, executor, 300003)


def test_weights_that_are_not_there(executor, tmp_path):
    tree = Tree(tmp_path)
    tree.add_images(1)
    tree.index("candidate", [0], annotated=False)
    tree.env["run_infer"] = True
    tree.config["model_params_path"] = ["best/model.pth"]
    assert "There are no weights" in failed(tree, executor, 300004)


def test_without_env_yaml_there_is_a_line_all_the_same(executor, tmp_path):
    file = tmp_path / "env.yaml"  # named on the command line
    file.write_text("{")
    done = subprocess.run(
        [sys.executable, str(executor), str(file)], capture_output=True, text=True
    )
    assert done.returncode == 1 and "env.yaml is not YAML" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
