"""The folder of a training: nobody else's files are touched, and no other training is lost unasked."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

import torch

from cvtk.engine.workspace import (
    LOCK,
    MARK,
    best_checkpoint,
    checkpoints,
    newest_checkpoint,
    opened_workspace,
    remove_old,
)
from cvtk.errors import FileError, ModelError
from cvtk.options import TrainOptions

CONFIGURATION = "train_dataloader = dict()\nwork_dir = 'a'\n"


@pytest.fixture
def options(tmp_path):
    """Options of a training into `a.pth`, with the workspace `a`."""

    def make(**changes):
        return TrainOptions("train.json", output_weights=tmp_path / "a.pth", **changes)

    return make


@pytest.fixture
def workspace(tmp_path):
    """The folder, not made yet."""
    return tmp_path / "a"


def fill(workspace, *names, mark=True):
    """Files of a training that was stopped."""
    workspace.mkdir(exist_ok=True)
    if mark:
        (workspace / MARK).touch()
    for name in names:
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text(CONFIGURATION if name.endswith(".py") else name)


def names(workspace):
    return {path.name for path in workspace.iterdir()}


def refused(options, said):
    """Opens a workspace where that is not allowed."""
    with pytest.raises(FileError, match=said), opened_workspace(options):
        pass


def checkpoint(file, **more):
    content = {"state_dict": {"a": torch.ones(1)}, "optimizer": {}, "message_hub": {}}
    torch.save({**content, "meta": {"epoch": 1, "iter": 4}, **more}, file)


# The mark and the lock


def test_it_is_marked_and_locked_while_it_is_open(options, workspace):
    with opened_workspace(options()) as folder:
        assert folder == workspace
        assert names(workspace) == {MARK, LOCK}
        (workspace / "epoch_1.pth").write_text("a step was made")
    assert names(workspace) == {MARK, "epoch_1.pth"}


def test_where_no_step_was_made_nothing_is_left(options, workspace):
    with pytest.raises(ZeroDivisionError), opened_workspace(options()):
        (workspace / "used_train.json").write_text("[]")
        (workspace / "start.weights").write_text("...")
        raise ZeroDivisionError
    assert not workspace.exists()


OPEN = """\
import sys
from cvtk.engine.workspace import opened_workspace
from cvtk.errors import CvtkError
from cvtk.options import TrainOptions
try:
    with opened_workspace(TrainOptions("train.json", output_weights=sys.argv[1], force=True)):
        print("opened", flush=True)
        if len(sys.argv) > 2:
            sys.stdin.read()
except CvtkError as error:
    print(error)
"""


def test_a_second_process_is_refused(options, workspace, tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "a.pth")]
    with opened_workspace(options()):
        (workspace / "epoch_1.pth").write_text("of the first")
        said = subprocess.run(command, capture_output=True, text=True).stdout
        assert (workspace / "epoch_1.pth").read_text() == "of the first"
    assert said.startswith(f"Another training is writing to {workspace}.")
    assert subprocess.run(command, capture_output=True, text=True).stdout == "opened\n"


def test_the_lock_of_a_killed_process_is_no_obstacle(options, workspace, tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "a.pth"), "wait"]
    first = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout.readline() == "opened\n"
    refused(options(), "Another training")
    first.kill()
    first.wait()
    assert (workspace / LOCK).exists(), "nobody removed it"
    with opened_workspace(options()):
        pass


# What is there already


def test_a_stopped_training_is_named(options, workspace):
    fill(workspace, "epoch_2.pth", "epoch_10.pth", "last_checkpoint")
    with pytest.raises(FileError) as error, opened_workspace(options()):
        pass
    assert "was stopped after epoch 10" in str(error.value)
    assert "resume=True" in str(error.value) and "force=True" in str(error.value)
    assert names(workspace) == {MARK, "epoch_2.pth", "epoch_10.pth", "last_checkpoint"}


def test_resume_keeps_what_is_there(options, workspace):
    fill(workspace, "epoch_2.pth", "20260101_000000/vis_data.json")
    with opened_workspace(options(resume=True)):
        assert {"epoch_2.pth", "20260101_000000"} <= names(workspace)
    assert {"epoch_2.pth", "20260101_000000"} <= names(workspace)


def test_force_removes_the_files_of_a_training_and_no_others(options, workspace):
    own = ["epoch_1.pth", "best_coco_segm_mAP_epoch_1.pth", "last_checkpoint"]
    own += ["used_train.json", "start.weights", "epoch_2.pth.part", "tiny.py"]
    own += ["20260101_000000/a.log", "test_outputs.coco.json"]
    own += ["report.html", "metrics.csv", "images.csv", "objects.csv"]
    fill(workspace, *own)
    mine = ["epoch_1.jpg", "notes.txt", "best.pth", "epoch_x.pth", "photos/epoch_1.pth"]
    fill(workspace, *mine)
    (workspace / "own.py").write_text("print('mine')\n")
    with opened_workspace(options(force=True)):
        left = names(workspace) - {MARK, LOCK}
    assert left == {
        "epoch_1.jpg",
        "notes.txt",
        "best.pth",
        "epoch_x.pth",
        "photos",
        "own.py",
    }
    assert (workspace / "photos/epoch_1.pth").is_file()


@pytest.mark.parametrize("more", [{}, {"force": True}, {"resume": True}])
def test_a_folder_of_ones_own_with_such_names_is_refused(more, options, workspace):
    fill(workspace, "epoch_1.pth", "epoch_1.jpg", mark=False)
    with (
        pytest.raises(
            FileError, match=r"not a training's folder, but has epoch_1\.pth"
        ),
        opened_workspace(options(**more)),
    ):
        pass
    assert names(workspace) == {"epoch_1.pth", "epoch_1.jpg"}


def test_a_folder_of_ones_own_without_such_names_is_used_and_kept(options, workspace):
    fill(workspace, "epoch_1.jpg", mark=False)
    with opened_workspace(options()):
        (workspace / "epoch_1.pth").write_text("new")
    assert (workspace / "epoch_1.jpg").read_text() == "epoch_1.jpg"


def test_a_training_from_before_there_was_a_mark_is_resumed(options, workspace):
    fill(workspace, "epoch_1.pth", "last_checkpoint", mark=False)
    with opened_workspace(options(resume=True)):
        assert "epoch_1.pth" in names(workspace)
    assert MARK in names(workspace)


def test_weights_that_exist_are_kept_unless_forced(options, tmp_path):
    (tmp_path / "a.pth").write_text("mine")
    refused(options(), r"a\.pth exists already.*force=True")
    assert not (tmp_path / "a").exists()
    with opened_workspace(options(force=True)):
        pass


def test_a_training_that_was_stopped_after_its_weights_is_named(
    options, workspace, tmp_path
):
    fill(workspace, "epoch_2.pth")
    (tmp_path / "a.pth").write_text("trained")
    refused(options(), r"a\.pth exists, but its training was stopped.*resume=True")
    with opened_workspace(options(resume=True)):
        pass
    (tmp_path / "a.card.json").write_text("{}")
    refused(options(), r"a\.pth exists already")


def test_a_program_of_the_name_is_never_replaced(options, tmp_path):
    (tmp_path / "a.py").write_text("print('mine')\n")
    for more in ({}, {"force": True}, {"resume": True}):
        refused(options(**more), r"a\.py.*another name")
    (tmp_path / "a.py").write_text(CONFIGURATION)
    with opened_workspace(options(force=True)):
        pass


@pytest.mark.parametrize("kind", ["file", "link", "folder below a file"])
def test_what_cannot_be_a_workspace_is_told(kind, options, workspace, tmp_path):
    if kind == "file":
        workspace.write_text("mine")
        chosen = options(force=True)
    elif kind == "link":
        (tmp_path / "a.pth").symlink_to("elsewhere.pth")
        chosen = options(force=True)
    else:
        (tmp_path / "x").write_text("mine")
        chosen = TrainOptions("train.json", output_weights=tmp_path / "x" / "a.pth")
    refused(chosen, r"[Cc]hoose another name")


# The checkpoints to go on from


def test_a_checkpoint_that_was_cut_off_is_passed_over(workspace):
    workspace.mkdir()
    for epoch in (8, 9, 10):
        checkpoint(workspace / f"epoch_{epoch}.pth")
    whole = (workspace / "epoch_10.pth").read_bytes()
    (workspace / "epoch_10.pth").write_bytes(whole[: len(whole) // 2])
    (workspace / "epoch_11.pth").touch()
    assert checkpoints(workspace)[0] == workspace / "epoch_11.pth"
    assert newest_checkpoint(workspace) == workspace / "epoch_9.pth"


@pytest.mark.parametrize("content", [[], "text", None, {"state_dict": {}}])
def test_what_is_no_checkpoint_is_passed_over(content, workspace):
    workspace.mkdir()
    torch.save(content, workspace / "epoch_2.pth")
    with pytest.raises(ModelError, match=r"no checkpoint.*force=True"):
        newest_checkpoint(workspace)
    checkpoint(workspace / "epoch_1.pth")
    assert newest_checkpoint(workspace) == workspace / "epoch_1.pth"


def test_the_best_checkpoint_lies_in_the_workspace(workspace, tmp_path):
    workspace.mkdir()
    name = "best_coco_segm_mAP_epoch_1.pth"
    for folder in (workspace, tmp_path):
        checkpoint(folder / name)
    checkpoint(workspace / "epoch_3.pth")
    assert best_checkpoint(workspace, f"/moved/{name}") == workspace / name
    assert best_checkpoint(workspace, str(tmp_path / name)) == workspace / name
    last = workspace / "epoch_3.pth"
    assert best_checkpoint(workspace, None) == last
    assert best_checkpoint(workspace, "best_coco_segm_mAP_epoch_7.pth") == last
    checkpoint(workspace / "evil.pth")
    assert best_checkpoint(workspace, str(workspace / "evil.pth")) == last


def test_figures_are_removed_and_what_is_the_users_own_is_not(workspace):
    fill(workspace, "epoch_1.pth", "figures/count.leaf.svg", "figures/area.leaf.png")
    remove_old(workspace)
    assert names(workspace) == {MARK}
    fill(workspace, "figures/count.leaf.svg", "figures/my plant.png")
    remove_old(workspace)
    assert len(names(workspace / "figures")) == 2, "one is the user's own"
