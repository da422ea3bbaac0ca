"""The default model trains: one step of Mask R-CNN, and an image without objects in it."""

from __future__ import annotations

import gc
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cvtk import data
from cvtk.engine import balance
from cvtk.engine.balance import draw
from cvtk.engine.choose import choose_and_keep
from cvtk.engine.predict import Predictor
from cvtk.engine.thresholds import KEY
from cvtk.errors import FileError, ModelError
from cvtk.io import sha256_of
from cvtk.model import create_model
from cvtk.options import DEFAULT_MODELS as MODELS

SURE_OF_NOTHING = ["model.test_cfg.score_thr=0.001"]
FEW_REGIONS = ["model.train_cfg.rcnn.sampler.num=32"]  # of the 512 in an image


@pytest.fixture
def trained(demo, tmp_path, messages):
    """Trains a small model, which also reports what it is unsure of."""

    def train(**options):
        model = create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
        options = {"batch_size": 2, "num_workers": 0, "image_size": 64, **options}
        model.train(
            demo.train,
            demo.valid,
            output_weights=tmp_path / "out" / "a.pth",
            weights="none",
            device="cpu",
            **options,
        )
        table = pd.read_csv(tmp_path / "out" / "a.train_stats.train.txt", sep="\t")
        return table, messages.text

    return train


@pytest.mark.train
def test_it_ends_where_nothing_gets_better(trained):
    # With a learning rate of nothing, no epoch is better than the first.
    score = ["model.test_cfg.score_thr=0.001"]
    table, text = trained(epoch=6, lr=1e-12, early_stop=2, set=score)
    assert table["epoch"].tolist() == [1, 2, 3]
    assert "No better AP in 2 epochs" in text


@pytest.mark.train
def test_no_process_that_reads_images_stays(trained):
    gc.disable()
    try:
        trained(epoch=1, num_workers=1)
    finally:
        gc.enable()
    assert multiprocessing.active_children() == []


@pytest.mark.train
def test_rare_classes_are_seen_more_often_where_that_is_wanted(
    trained, tmp_path, monkeypatch
):
    epochs = []

    def noted(often, count, rng):
        epochs.append(draw(often, count, rng).tolist())
        return np.array(epochs[-1])

    monkeypatch.setattr(balance, "draw", noted)
    trained(epoch=2, balance=True)
    assert [len(images) for images in epochs] == [4, 4]
    said = (tmp_path / "out" / "a.methods.md").read_text("utf-8")
    assert "rare classes were seen more often" in said


@pytest.mark.train
def test_a_training_that_diverges_says_so(trained):
    with pytest.raises(ModelError, match=r"lower --lr"):
        trained(epoch=3, set=["optim_wrapper.optimizer.lr=1e30"])


@pytest.mark.train
def test_the_configuration_alone(demo, tmp_path, capsys):
    model = create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
    output = tmp_path / "out" / "a.pth"
    model.train(demo.train, output_weights=output, print_config=True, device="cpu")
    text = capsys.readouterr().out
    cfg = Config.fromstring(text[text.index("custom_hooks") :], ".py")
    assert cfg.model.bbox_head.num_classes == 3
    assert not output.exists()


def as_microscopes_write_it(photo, file):
    """A TIFF whose first page is a small preview, and whose second has the channels of a photograph in another order."""
    pixels = np.asarray(Image.open(photo))
    planes = {"photometric": "minisblack", "planarconfig": "separate"}
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(pixels[::8, ::8, 0])
        tiff.write(pixels.transpose(2, 0, 1)[::-1], **planes)


@pytest.mark.train
def test_the_default_model_trains_a_step(demo, tmp_path, capsys):
    coco = json.loads(demo.train.read_text())
    images = [coco["images"][0], coco["images"][-1]]  # the last has no objects
    photos = [demo.train.parent / image["file_name"] for image in images]
    for image, photo in zip(images, photos, strict=True):
        image["file_name"] = f"{photo.stem}.tif"
        as_microscopes_write_it(photo, tmp_path / image["file_name"])
    kept = [a for a in coco["annotations"] if a["image_id"] == images[0]["id"]]
    few = {**coco, "images": images, "annotations": kept}
    (tmp_path / "few.json").write_text(json.dumps(few))
    model = create_model(labels=demo.label)
    assert model.name == MODELS["segm"]
    output = tmp_path / "out" / "a.pth"
    stats = model.train(
        tmp_path / "few.json",
        output_weights=output,
        epoch=1,
        batch_size=2,
        num_workers=0,
        image_size=64,
        weights="none",
        set=FEW_REGIONS,
        page=2,
        channels="3,2,1",
        device="cpu",
    )
    assert stats is None, "without a test set"
    assert "epoch 1/1  loss" in capsys.readouterr().out
    assert output.is_file() and model.weights == output
    losses = pd.read_csv(tmp_path / "out" / "a.train_stats.train.txt", sep="\t")
    expected = "loss loss_rpn_cls loss_rpn_bbox loss_cls acc loss_bbox loss_mask"
    assert [c for c in losses if "loss" in c or c == "acc"] == expected.split()
    assert all(math.isfinite(v) and v > 0 for v in losses["loss"])
    assert losses["loss_mask"][0] > 0, "its masks, some of them RLE, are learned from"
    # What it has learned to read, it reads: the second page, and its channels in this order.
    model = create_model(output)
    tiff_file = tmp_path / images[0]["file_name"]
    tiff, photo = model.predict([tiff_file, photos[0]], score=0.0)
    assert len(tiff) > 0
    np.testing.assert_array_equal(tiff.scores, photo.scores)


def interrupt(*_, **__):
    """As Ctrl+C does."""
    raise KeyboardInterrupt


@pytest.mark.train
def test_nothing_of_an_older_training_is_gone_on_from(trained, tmp_path, monkeypatch):
    # Four epochs are done; then it is begun anew with two, and broken off at the first step.
    table, _ = trained(epoch=4)
    workspace = tmp_path / "out" / "a"
    assert (workspace / "epoch_4.pth").is_file()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cvtk.engine.hooks.ProgressHook.after_train_iter", interrupt)
        trained(epoch=2, force=True)
    assert not list(workspace.glob("epoch_*")), "or --resume would find the older ones"
    table, _ = trained(epoch=2, force=True, resume=True)
    assert table["epoch"].tolist() == [1, 2]
    card = json.loads((tmp_path / "out" / "a.card.json").read_text("utf-8"))
    assert not card["training"]["resumed"], "there was nothing to go on from"


@pytest.mark.train
def test_resuming_what_is_done_writes_it_again(trained, tmp_path):
    first, _ = trained(epoch=2)
    # As where it was stopped just before the end.
    for ending in (".pth", ".py", ".card.json", ".methods.md"):
        (tmp_path / "out" / f"a{ending}").unlink()
    with pytest.raises(FileError, match="stopped after epoch 2"):
        trained(epoch=2)
    again, text = trained(epoch=2, resume=True)
    assert again["loss"].tolist() == first["loss"].tolist()
    assert "Goes on from" in text and (tmp_path / "out" / "a.pth").is_file()
    card = json.loads((tmp_path / "out" / "a.card.json").read_text("utf-8"))
    assert card["training"]["resumed"]
    # With fewer epochs than there are, it is done too; with more, it goes on.
    fewer, _ = trained(epoch=1, resume=True)
    assert fewer["epoch"].tolist() == [1, 2]
    more, _ = trained(epoch=3, resume=True)
    assert more["epoch"].tolist() == [1, 2, 3]
    assert more["loss"].tolist()[:2] == first["loss"].tolist()


@pytest.mark.train
def test_a_workspace_that_was_moved_is_resumed(trained, tmp_path):
    score = ["model.test_cfg.score_thr=0.001"]
    trained(epoch=1, set=score)
    out, old = tmp_path / "out", tmp_path / "old"
    out.rename(old)
    shutil.copytree(old / "a", out / "a")
    shutil.rmtree(old)
    table, _ = trained(epoch=2, resume=True, set=score)
    assert table["epoch"].tolist() == [1, 2]
    assert (out / "a.pth").is_file()
    assert not old.exists()


@pytest.mark.train
def test_a_best_checkpoint_that_is_gone_does_not_end_a_resumed_training(
    trained, tmp_path
):
    # Checkpoints to resume from come every second epoch; the best one was made between them.
    trained(epoch=3, save_every=2, set=SURE_OF_NOTHING)
    workspace = tmp_path / "out" / "a"
    for file in [*workspace.glob("best_*.pth"), workspace / "epoch_3.pth"]:
        file.unlink(missing_ok=True)
    (tmp_path / "out" / "a.pth").unlink()
    table, _ = trained(epoch=5, save_every=2, resume=True, set=SURE_OF_NOTHING)
    assert table["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert (tmp_path / "out" / "a.pth").is_file()


@pytest.mark.train
def test_the_best_epoch_is_known_after_a_resume(trained, tmp_path, monkeypatch):
    written = []
    write = Runner.save_checkpoint

    def noted(runner, folder, name, *args, **kwargs):
        written.append(name.removesuffix(".part"))
        write(runner, folder, name, *args, **kwargs)

    monkeypatch.setattr(Runner, "save_checkpoint", noted)
    trained(epoch=1, set=SURE_OF_NOTHING)
    best = "best_coco_bbox_mAP_epoch_1.pth"
    assert written == ["epoch_1.pth", best], "each once"
    # With a learning rate of nothing, no epoch is better than the first.
    _, text = trained(epoch=2, lr=1e-12, resume=True, set=SURE_OF_NOTHING)
    assert "anew" not in text
    assert (tmp_path / "out" / "a" / best).is_file()


@pytest.mark.train
def test_epochs_without_a_validation(trained, tmp_path, capsys):
    begin = [*SURE_OF_NOTHING, "+train_cfg.val_begin=3"]
    options = {"validate_every": 2, "set": begin}
    losses, _ = trained(epoch=5, **options)
    out = tmp_path / "out"

    def validated():
        table = pd.read_csv(out / "a.train_stats.valid.txt", sep="\t")
        return table["step"].tolist()

    assert losses["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert validated() == [4, 5], "each second one from the third on, and the last"
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith("epoch ")]
    assert ["AP" in line for line in shown] == [False] * 3 + [True] * 2
    # Going on, the fifth epoch was not the last one.
    trained(epoch=7, resume=True, **options)
    assert validated() == [4, 5, 6, 7]
    card = json.loads((out / "a.card.json").read_text("utf-8"))
    assert card["options"]["validate_every"] == 2


@pytest.mark.train
def test_a_training_that_fails_leaves_no_weights_and_no_empty_folder(demo, tmp_path):
    model = create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
    with pytest.raises(FileError, match=r"none\.pth"):
        model.train(
            demo.train,
            output_weights=tmp_path / "out" / "a.pth",
            weights=str(tmp_path / "none.pth"),
            device="cpu",
        )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.train
def test_each_file_of_annotations_is_read_once(trained, demo):
    """By cvtk, and a second time for its hash; MMDetection reads a copy, `used_train.json` and so on."""
    reads = Counter()
    watching = True

    def watch(event, arguments):
        if watching and event == "open":
            reads[str(arguments[0])] += 1

    sys.addaudithook(watch)  # it stays for the life of the process
    trained(epoch=1, test=demo.test, force=True)
    watching = False
    assert max(reads[str(file)] for file in (demo.train, demo.valid, demo.test)) <= 2


@pytest.fixture
def what_it_finds(demo, tmp_path):
    """A data set whose objects are what a model itself is surest of, two on each validation image."""

    def write(model):
        coco = json.loads(demo.valid.read_text())
        coco["annotations"] = []
        results = model.predict(demo.valid, score=0)
        for image, result in zip(coco["images"], results, strict=True):
            first = len(coco["annotations"]) + 1
            coco["annotations"] += result[:2].to_coco(image["id"], first)
        file = demo.valid.parent / "found.json"
        file.write_text(json.dumps(coco))
        return file

    yield write
    (demo.valid.parent / "found.json").unlink(missing_ok=True)


@pytest.mark.train
def test_scores_to_cut_at_and_the_run_card(trained, what_it_finds, demo, tmp_path):
    _, text = trained(epoch=1, aim="count", test=demo.test, set=SURE_OF_NOTHING)
    weights = tmp_path / "out" / "a.pth"
    assert "to the true ones on" in text or "no score can be chosen" in text
    card = json.loads((tmp_path / "out" / "a.card.json").read_text("utf-8"))
    assert card["weights"]["sha256"] == sha256_of(weights)
    assert card["training"]["epochs"] == 1 and card["options"]["aim"] == "count"
    images = {split: facts["images"] for split, facts in card["data"].items()}
    assert images == {"train": 4, "valid": 3, "test": 3}
    assert set(card["test"]["overall"]) >= {"AP", "F1"}
    methods = (tmp_path / "out" / "a.methods.md").read_text("utf-8")
    assert methods.startswith("Object detection was done with RTMDet")
    assert "was trained on 4 images" in methods
    assert "starting from random weights" in methods

    model = create_model(weights)
    table = pd.read_csv(tmp_path / "out" / "a.train_stats.classes.txt", sep="\t")
    assert {f"coco/bbox_mAP/{name}" for name in model.classes} <= {*table}

    # Of its own predictions it finds all, down to the least sure one.
    found = data.read(what_it_finds(model))
    choose_and_keep(Predictor(model.spec, "cpu"), found, "recall=1")
    kept = torch.load(weights, weights_only=True)["meta"][KEY]
    assert kept["file"] == str(found.file)
    assert kept["reached"][""]["recall"]["value"] == 1
    [least] = {*kept["by_class"].values()}  # there are too few for one of each class
    results = list(create_model(weights).predict(demo.valid))
    scores = [score for result in results for score in result.scores]
    assert len(scores) >= 6 and min(scores) == pytest.approx(least)


# With a busy program beside it on the one core that both may use; PyTorch would take two threads.
BESIDE_ANOTHER = """
import os, subprocess, sys, torch
import cvtk
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
torch.set_num_threads(2)
train, labels, weights = sys.argv[1:]
model = cvtk.create_model("rtmdet_tiny_8xb32-300e_coco", labels=labels)
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    model.train(train, output_weights=weights, epoch=1, batch_size=4, num_workers=0, image_size=64, weights="none", device="cpu")
finally:
    other.kill()
print(torch.get_num_threads(), "threads afterwards")
"""


@pytest.mark.train
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells how busy cores are")
def test_a_training_that_leaves_a_busy_core_says_and_notes_it(demo, tmp_path):
    names = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}
    arguments = map(str, (demo.train, demo.label, tmp_path / "a.pth"))
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_ANOTHER, *arguments],
        env={name: value for name, value in os.environ.items() if name not in names},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = "so the training computes in 1 of 2 threads"
    assert done.stdout.count(said) == 1
    assert "2 threads afterwards" in done.stdout
    card = json.loads((tmp_path / "a.card.json").read_text("utf-8"))
    assert card["machine"]["threads"] == 1
    assert sum(said in decision for decision in card["decisions"]) == 1
