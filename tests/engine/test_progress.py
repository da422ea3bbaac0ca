"""What the console shows of a training: one line that moves, and one that stays for each epoch."""

from __future__ import annotations

import datetime
import io
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

import torch
from cvtk.engine.progress import show_progress
from mmengine.logging import MessageHub

from cvtk.errors import ModelError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def runner(done, seconds=2.0, steps=10, epochs=3):
    """The numbers that MMEngine's runner has after so many steps."""
    hub = MessageHub.get_instance(f"progress_{done}_{seconds}")
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
        val_loop=object(),
    )


def shown(console, *arguments, **more):
    show_progress(console, *arguments, **more)
    return console.getvalue()


def test_a_terminal_shows_a_bar_with_loss_and_time_left():
    text = shown(Terminal(), runner(13), batch_idx=3)  # its count rises afterwards
    assert text.startswith("\r") and not text.endswith("\n")
    assert "epoch 2/3" in text and "loss 1.500" in text and "#" in text
    assert "ETA 0:00:32" in text, "16 more steps of 2 seconds"


def test_a_file_gets_no_bar():
    assert shown(io.StringIO(), runner(13), batch_idx=3) == ""


@pytest.mark.parametrize("console", [io.StringIO, Terminal])
def test_an_epoch_ends_in_a_line_with_its_scores(console):
    metrics = {"coco/segm_mAP": 0.1234, "coco/bbox_mAP": 0.5678}
    text = shown(console(), runner(20), metrics=metrics)
    assert text.endswith("\n")
    for part in ("epoch 2/3", "loss 1.500", "mask AP 0.123", "box AP 0.568"):
        assert part in text
    assert ("\r" in text) is (console is Terminal)


def test_a_detector_has_no_mask_ap():
    text = shown(io.StringIO(), runner(20), metrics={"coco/bbox_mAP": 0.5678})
    assert "box AP 0.568" in text and "mask" not in text


def test_a_loss_that_is_no_number_ends_the_training():
    lost = runner(4)
    lost.message_hub.update_scalar("train/loss", float("nan"))
    with pytest.raises(ModelError, match=r"lower --lr"):
        show_progress(io.StringIO(), lost, batch_idx=3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("seconds", "hopeless"), [(6.0, False), (9000.0, True)])
def test_without_a_gpu_it_says_once_how_long_an_epoch_takes(seconds, hopeless):
    console = io.StringIO()
    for done in range(1, 10):
        show_progress(console, runner(done, seconds), batch_idx=done)
    (line,) = console.getvalue().strip().splitlines()
    assert str(datetime.timedelta(seconds=seconds * 10)) in line
    assert ("RTMDet" in line) is hopeless, "a lighter model where this one takes days"
