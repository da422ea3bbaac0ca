"""What cvtk does while MMEngine trains: hooks at MMEngine's own numbers, one at a time; see also test_train."""

from __future__ import annotations

import datetime
import io
import json
import logging
import math
import os
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

import torch
from mmengine.logging import MessageHub
from mmengine.visualization import Visualizer

from cvtk.engine.coco_metric import CLASS_METRICS
from cvtk.engine.hooks import (
    STEPS_TO_JUDGE,
    ClassMetricsHook,
    GuardHook,
    PatienceHook,
    ProgressHook,
    ResumeHook,
    StatsHook,
    ValidateFirstHook,
)
from cvtk.errors import LossError
from cvtk.recipe.workers import start_worker


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def hub(request):
    """MMEngine's store of numbers, a new one."""
    return MessageHub.get_instance(request.node.name)


@pytest.fixture
def runner(hub, tmp_path):
    """What a hook sees of MMEngine's runner after so many steps."""

    def make(done, seconds=2.0, steps=10, epochs=3, validates=True):
        for _ in range(max(done, 1)):
            hub.update_scalar("train/time", seconds)
            hub.update_scalar("train/loss", 1.5)
        return SimpleNamespace(
            train_dataloader=[None] * steps,
            message_hub=hub,
            iter=done,
            epoch=done // steps,
            max_iters=epochs * steps,
            max_epochs=epochs,
            val_loop=object() if validates else None,
            train_loop=SimpleNamespace(
                stop_training=False, val_interval=1, val_begin=1, max_epochs=epochs
            ),
            logger=logging.getLogger("test"),
            work_dir=str(tmp_path),
        )

    return make


@pytest.fixture
def shown(monkeypatch):
    """What a hook prints, to a file or to a terminal."""

    def show(call, *arguments, console=io.StringIO, **more):
        target = console()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", target)
            call(*arguments, **more)
        return target.getvalue()

    return show


# The bar, and a line for each epoch


def started(runner):
    hook = ProgressHook()
    hook.before_train(SimpleNamespace(iter=0))
    return hook, runner


def test_a_terminal_shows_a_bar_with_loss_and_time_left(runner, shown):
    hook, now = started(runner(13))
    text = shown(hook.after_train_iter, now, 3, console=Terminal)  # the 14th step
    assert text.startswith("\r") and not text.endswith("\n")
    assert "epoch 2/3" in text and "loss 1.500" in text and "14/30" in text
    assert f"[{'#' * 9}{'.' * 11}]" in text, "9 of 20 for 14 of 30"
    assert "ETA 0:00:32" in text, "16 more steps of 2 seconds"


def test_a_file_gets_no_bar(runner, shown):
    hook, now = started(runner(13))
    assert shown(hook.after_train_iter, now, 3) == ""


@pytest.mark.parametrize("console", [io.StringIO, Terminal])
def test_an_epoch_ends_in_a_line_with_its_scores(console, runner, shown):
    hook, now = started(runner(20))
    metrics = {"coco/segm_mAP": 0.1234, "coco/bbox_mAP": 0.5678}
    text = shown(hook.after_val_epoch, now, metrics, console=console)
    assert text.endswith("\n")
    for part in ("epoch 2/3", "loss 1.500", "mask AP 0.123", "box AP 0.568"):
        assert part in text
    assert ("\r" in text) is (console is Terminal)


def test_a_detector_has_no_mask_ap(runner, shown):
    hook, now = started(runner(20))
    text = shown(hook.after_val_epoch, now, {"coco/bbox_mAP": 0.5678})
    assert "box AP 0.568" in text and "mask" not in text


def test_without_validation_the_epoch_ends_the_line(runner, shown):
    hook, now = started(runner(20, validates=False))
    now.epoch = 1  # MMEngine counts it after its hooks
    assert "epoch 2/3  loss 1.500" in shown(hook.after_train_epoch, now)
    hook, now = started(runner(20))
    assert shown(hook.after_train_epoch, now) == "", "it comes after the validation"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("seconds", "hopeless"), [(6.0, False), (9000.0, True)])
def test_without_a_gpu_it_says_once_how_long_an_epoch_takes(
    seconds, hopeless, runner, messages
):
    hook, now = started(runner(5, seconds))
    for done in range(3 * STEPS_TO_JUDGE):
        now.iter = done
        hook.after_train_iter(now, done)
    (line,) = messages.messages
    assert str(datetime.timedelta(seconds=seconds * 10)) in line
    assert ("RTMDet" in line) is hopeless, "a lighter model where this one takes days"


# The loss, and the worker processes


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(loss, runner):
    hook = GuardHook()
    hook.after_train_iter(runner(4), 3, outputs={"loss": torch.tensor(1.5)})
    with pytest.raises(LossError, match=r"not a number.*lower --lr"):
        hook.after_train_iter(runner(4), 3, outputs={"loss": torch.tensor(loss)})


def test_workers_are_tied_to_the_process_that_trains(runner):
    now = runner(0)
    now.train_dataloader = torch.utils.data.DataLoader([1, 2], num_workers=1)
    now.val_dataloader = torch.utils.data.DataLoader([3], num_workers=1)
    GuardHook().before_train(now)
    for loader in (now.train_dataloader, now.val_dataloader):
        assert loader.worker_init_fn.func is start_worker
        assert loader.worker_init_fn.args == (None, os.getpid())
        assert len(list(loader)) == len(loader.dataset), "and they still load"


# What a resumed training knows


def test_the_best_checkpoint_is_that_of_this_workspace(hub, runner, tmp_path):
    # The workspace was moved; at its old place lies another file of that name.
    elsewhere = tmp_path / "old" / "best_coco_segm_mAP_epoch_2.pth"
    elsewhere.parent.mkdir()
    elsewhere.write_text("stale")
    here = tmp_path / elsewhere.name
    here.write_text("best")
    hub.update_info("best_ckpt", str(elsewhere))
    hub.update_info("best_score", 0.25)
    ResumeHook().before_train(runner(20))
    assert hub.get_info("best_ckpt") == str(here)
    assert hub.get_info("best_score") == 0.25


def test_a_best_checkpoint_that_is_gone_is_forgotten(hub, runner, tmp_path, messages):
    hub.update_info("best_ckpt", str(tmp_path / "best_coco_segm_mAP_epoch_2.pth"))
    hub.update_info("best_score", 0.25)
    ResumeHook().before_train(runner(20))
    assert "best_ckpt" not in hub.runtime_info
    assert "best_score" not in hub.runtime_info
    assert "The best epoch is sought anew" in messages.text


def test_an_epoch_that_was_the_best_is_found_again_by_validating(
    hub, runner, tmp_path, messages
):
    # The checkpoint was written before the validation, which then replaced the best one.
    hub.update_info("best_ckpt", str(tmp_path / "best_coco_segm_mAP_epoch_1.pth"))
    (tmp_path / "best_coco_segm_mAP_epoch_2.pth").touch()
    ResumeHook().before_train(runner(20))
    assert "best_ckpt" not in hub.runtime_info
    assert "anew" not in messages.text


def test_without_a_best_checkpoint_nothing_is_done(hub, runner):
    ResumeHook().before_train(runner(20))
    assert "best_ckpt" not in hub.runtime_info


def test_a_resumed_training_validates_first(runner):
    now, validated = runner(20), []
    now.val_loop = SimpleNamespace(run=lambda: validated.append(now.epoch))
    ValidateFirstHook().before_train(now)
    assert validated == [2]
    now.val_loop = None
    ValidateFirstHook().before_train(now)


# The end where nothing gets better


def patient():
    return PatienceHook(
        monitor="coco/bbox_mAP", rule="greater", patience=3, min_delta=1e-6
    )


def test_patience_goes_on_counting_after_a_resume(hub, runner):
    now, hook = runner(20), patient()
    hook.before_train(now)
    for score in (0.2, 0.1, 0.2):  # as good is not better
        hook.after_val_epoch(now, {"coco/bbox_mAP": score})
    assert not now.train_loop.stop_training

    # Another process, with what the checkpoint kept.
    again = MessageHub("resumed_patience")
    again.load_state_dict(hub.state_dict())
    now = SimpleNamespace(**{**vars(now), "message_hub": again})
    hook = patient()
    hook.before_train(now)
    assert (hook.best_score, hook.wait_count) == (0.2, 2)
    hook.after_val_epoch(now, {"coco/bbox_mAP": 0.15})
    assert now.train_loop.stop_training


@pytest.mark.parametrize(("patience", "said"), [(1, "1 epoch:"), (2, "2 epochs:")])
def test_the_end_is_told_in_epochs(patience, said, runner, messages):
    now, hook = runner(20), PatienceHook(monitor="coco/bbox_mAP", patience=patience)
    hook.before_train(now)
    for _ in range(patience + 1):
        hook.after_val_epoch(now, {"coco/bbox_mAP": 0.2})
    assert f"No better AP in {said}" in messages.text


def test_patience_begins_anew_with_a_better_epoch(runner):
    now, hook = runner(20), patient()
    hook.before_train(now)
    for score in (0.2, 0.1, 0.1, 0.3, 0.1, 0.1):
        hook.after_val_epoch(now, {"coco/bbox_mAP": score})
    assert not now.train_loop.stop_training


# Tables and plots while it trains


def test_ap_by_class_is_added_to_the_log(runner, hub, tmp_path):
    now = runner(10)
    now.visualizer = Visualizer(
        vis_backends=[{"type": "LocalVisBackend"}], save_dir=str(tmp_path)
    )
    # MMEngine would average what it takes for the time of a step.
    by_class = {"timeless": {"segm_mAP": 0.5, "segm_mAP_50": 0.75, "segm_mAP_s": -1.0}}
    hub.update_info(CLASS_METRICS, by_class, resumed=False)
    ClassMetricsHook().after_val_epoch(now, {})
    log = (tmp_path / "vis_data" / "scalars.json").read_text()
    assert json.loads(log) == {
        "coco/segm_mAP/timeless": 0.5,
        "coco/segm_mAP_50/timeless": 0.75,
        "step": 1,
    }


def test_tables_are_written_after_an_epoch(runner, tmp_path):
    workspace = tmp_path / "fruit"
    log = workspace / "20260101_000000/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    lines = [
        {"lr": 0.1, "data_time": 0, "loss": 2.0, "time": 1, "epoch": 1, "step": 5},
        {"coco/bbox_mAP": 0.5, "data_time": 0, "time": 1, "step": 1},
    ]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    now, hook = runner(10), StatsHook(["bbox"], "coco/bbox_mAP")
    now.work_dir = str(workspace)
    hook.after_train_epoch(now)
    assert not list(tmp_path.glob("*.txt")), "a validation follows"
    hook.after_val_epoch(now, {})
    names = {
        f"fruit.train_stats.{s}.{e}" for s in ("train", "valid") for e in ("txt", "png")
    }
    assert {path.name for path in tmp_path.glob("fruit.*")} == names
    for name in names:
        (tmp_path / name).unlink()
    hook.after_val_epoch(now, {})
    assert not list(tmp_path.glob("fruit.*")), "not again so soon: plots take time"
