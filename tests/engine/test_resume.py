"""What a training goes on from: a checkpoint of its own that is whole, and nothing that a checkpoint names.

The Runner is the real one, with a network of one layer.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmengine.model import BaseModel

from cvtk.engine.hooks import ResumeHook
from cvtk.engine.runner import TrainingRunner
from cvtk.engine.weights import checked_loading, load_file
from cvtk.engine.workspace import best_checkpoint, find_noted, newest_checkpoint
from cvtk.errors import FileError, ModelError
from cvtk.io import is_file


class Network(BaseModel):
    """One layer, which learns to give 0."""

    def __init__(self, classes=2):
        super().__init__()
        torch.manual_seed(1)
        self.head = torch.nn.Linear(3, classes)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"loss": self.head(torch.stack(inputs)).pow(2).mean()}


def make_runner(workspace, epochs, checkpoint=None, network=None, **more):
    make_runner.number = getattr(make_runner, "number", 0) + 1
    data = [{"inputs": torch.ones(3)}] * 4
    runner = TrainingRunner(
        network or Network(),
        work_dir=str(workspace),
        train_dataloader={
            "dataset": data,
            "batch_size": 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "pseudo_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "Adam", "lr": 0.1}},
        load_from=None if checkpoint is None else str(checkpoint),
        resume=checkpoint is not None,
        experiment_name=f"test_resume_{make_runner.number}",
        randomness={"seed": 1},
        **more,
    )
    runner.register_hook(ResumeHook())
    return runner


def train(*arguments, **more):
    runner = make_runner(*arguments, **more)
    with checked_loading(load_file):
        runner.train()
    return runner


@pytest.fixture
def workspace(tmp_path):
    """Of a training of two epochs."""
    folder = tmp_path / "workspace"
    train(folder, 2)
    assert sorted(f.name for f in folder.glob("*.pth")) == [
        "epoch_1.pth",
        "epoch_2.pth",
    ]
    return folder


def change(workspace, **values):
    """Changes the newest checkpoint; "meta.epoch" is given as `meta__epoch`."""
    file = workspace / "epoch_2.pth"
    checkpoint = torch.load(file, weights_only=False)
    for key, value in values.items():
        *outer, last = key.split("__")
        part = checkpoint
        for name in outer:
            part = part[name]
        part[last] = value
    torch.save(checkpoint, file)
    return file


def test_it_goes_on_as_if_unbroken(workspace, tmp_path):
    unbroken = train(tmp_path / "unbroken", 4)
    resumed = train(workspace, 4, newest_checkpoint(workspace))
    assert (resumed.epoch, resumed.iter) == (unbroken.epoch, unbroken.iter) == (4, 8)
    assert torch.equal(resumed.model.head.weight, unbroken.model.head.weight)


# Which checkpoint it is


BROKEN = {
    "empty": b"",
    "text": b"no checkpoint",
    "cut off": None,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_passed_over(name, workspace, caplog):
    content = BROKEN[name]
    if content is None:
        content = (workspace / "epoch_2.pth").read_bytes()[:2000]
    (workspace / "epoch_10.pth").write_bytes(content)
    assert newest_checkpoint(workspace) == workspace / "epoch_2.pth"
    assert "epoch_10.pth" in caplog.text


@pytest.mark.parametrize("kind", ["folder", "pipe", "bare weights"])
def test_what_is_no_checkpoint_is_passed_over(kind, workspace):
    file = workspace / "epoch_10.pth"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        torch.save(Network().state_dict(), file)
    assert newest_checkpoint(workspace) == workspace / "epoch_2.pth"


@pytest.mark.parametrize(
    "values",
    [
        {"meta": None},
        {"meta__epoch": "2"},
        {"meta__iter": -1},
        {"meta__epoch": True},
        {"optimizer": [1]},
        {"message_hub": None},
        {"state_dict": {"a": "b"}},
    ],
)
def test_a_checkpoint_that_does_not_hold_together_is_passed_over(values, workspace):
    change(workspace, **values)
    assert newest_checkpoint(workspace) == workspace / "epoch_1.pth"


def test_code_in_a_checkpoint_does_not_run(workspace, bomb):
    trap, target = bomb
    file = change(workspace, meta__seed=trap)
    assert newest_checkpoint(workspace) == workspace / "epoch_1.pth"
    with pytest.raises(ModelError, match="mkdir"):
        train(workspace, 3, file)  # if it is named nevertheless
    assert not target.exists()
    (workspace / "epoch_1.pth").unlink()
    with pytest.raises(ModelError, match="force=True"):
        newest_checkpoint(workspace)


# A checkpoint of another training


def refused(match, *arguments, **more):
    with pytest.raises(ModelError, match=match) as error:
        train(*arguments, **more)
    text = str(error.value)
    assert "epoch_2.pth" in text and "force=True" in text and "\n" not in text


def test_a_checkpoint_for_other_classes_is_refused(workspace):
    file = workspace / "epoch_2.pth"
    refused("head.bias, head.weight differ", workspace, 3, file, network=Network(5))


def test_a_checkpoint_of_another_architecture_is_refused(workspace):
    network = Network()
    network.neck = torch.nn.Linear(2, 2)
    refused(
        "another architecture", workspace, 3, workspace / "epoch_2.pth", network=network
    )


def test_names_in_a_checkpoint_do_not_reach_the_terminal_as_they_are(workspace):
    file = change(workspace, state_dict={"a\n\x1b[2J": torch.ones(1)})
    refused("another architecture", workspace, 3, file)


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": {}},
        {"optimizer__param_groups": []},
        {"optimizer__state": [1]},
        {"message_hub": {"log_scalars": 1}},
        {"meta__seed": "text"},
    ],
)
def test_states_that_do_not_fit_are_refused(values, workspace):
    file = change(workspace, **values)
    refused("cannot go on from", workspace, 3, file)


# What a checkpoint names


def test_a_text_that_mmengine_would_run_is_not(workspace, tmp_path):
    target = tmp_path / "hacked"
    file = change(workspace, meta__config=f"import os\nos.mkdir({str(target)!r})\n")
    train(workspace, 3, file)
    assert not target.exists()
    from mmengine.runner import Runner

    runner = make_runner(workspace, 3, file)
    runner.__class__ = Runner
    runner.train()
    assert target.exists(), "or this test shows nothing"


def test_no_other_file_is_taken_for_the_best(workspace, bomb, tmp_path):
    trap, target = bomb
    evil = tmp_path / "best_coco_bbox_mAP_epoch_1.pth"
    torch.save({"state_dict": {}, "meta": trap}, evil)
    file = change(
        workspace, message_hub__runtime_info={"best_ckpt": str(evil), "best_score": 1.0}
    )
    runner = train(workspace, 3, file)
    assert "best_ckpt" not in runner.message_hub.runtime_info
    assert "best_score" not in runner.message_hub.runtime_info
    assert best_checkpoint(workspace, str(evil)) == workspace / "epoch_3.pth"
    assert evil.exists() and not target.exists()


@pytest.mark.parametrize(
    "noted", ["precious", "precious/a.txt", "workspace/.cvtk-training", 7, None, ["a"]]
)
def test_nothing_that_is_noted_is_removed(noted, workspace, tmp_path):
    # MMEngine removes the file or folder that is noted as the best, once there is a better one.
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a.txt").write_text("mine")
    (workspace / ".cvtk-training").write_text("ours")
    path = str(tmp_path / noted) if isinstance(noted, str) else noted
    file = change(
        workspace, message_hub__runtime_info={"best_ckpt": path, "best_ckpt_a": path}
    )
    runner = train(workspace, 3, file)
    assert not [k for k in runner.message_hub.runtime_info if k.startswith("best")]
    assert find_noted(workspace, path) is None


def test_the_best_of_a_workspace_that_was_moved_is_found(workspace):
    best = workspace / "best_coco_bbox_mAP_epoch_1.pth"
    best.write_bytes((workspace / "epoch_1.pth").read_bytes())
    old = "/an/older/place/best_coco_bbox_mAP_epoch_1.pth"
    file = change(
        workspace, message_hub__runtime_info={"best_ckpt": old, "best_score": 0.5}
    )
    runner = train(workspace, 3, file)
    assert runner.message_hub.get_info("best_ckpt") == str(best)
    assert best_checkpoint(workspace, old) == best


def test_where_the_best_is_damaged_the_last_is_taken(workspace):
    best = workspace / "best_coco_bbox_mAP_epoch_1.pth"
    best.write_bytes(b"cut off")
    assert best_checkpoint(workspace, str(best)) == workspace / "epoch_2.pth"


def test_names_too_long_for_a_file_are_none(workspace):
    assert find_noted(workspace, "best_" + "a" * 300 + "_epoch_1.pth") is None
    assert not is_file(workspace / ("a" * 300))


def test_weights_to_start_from_may_be_of_other_classes(workspace, tmp_path):
    # Only what a training goes on from must fit entirely.
    file = tmp_path / "start.weights"
    torch.save({"state_dict": {"head.bias": torch.ones(2)}}, file)
    runner = make_runner(tmp_path / "new", 1)
    runner._load_from = str(file)
    with checked_loading(load_file):
        runner.load_or_resume()
    assert np.allclose(runner.model.head.bias.tolist(), 1)
    with pytest.raises(FileError), checked_loading(load_file):
        runner.load_checkpoint(str(tmp_path / "none.pth"))
