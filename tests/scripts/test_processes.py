"""Several processes train one model: torchrun with two of them, joined by gloo on the CPU.

The vanilla script leaves it to MMEngine to join them, which does so on GPUs alone: here, a
few lines around the script put gloo in the place of NCCL.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import mmdet
import torch

from cvtk.engine.weights import read_weights
from cvtk.model import create_model
from cvtk.scripts.create import create_script

# No randomness but the order of the images, and no statistics of a batch: what two
# processes learn from two images each is then what one learns from the four. (FCOS
# divides its losses by the objects of all processes.)
BASE = "fcos_r50-caffe_fpn_gn-head_1x_coco"
PLAIN = """\
_base_ = {base!r}
norm = dict(type="GN", num_groups=8, requires_grad=True)
steps = [
    dict(type="LoadImageFromFile", backend_args=None),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(64, 64), keep_ratio=False),
    dict(type="PackDetInputs"),
]
model = dict(
    backbone=dict(depth=18, norm_cfg=norm, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=32),
    bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1, norm_cfg=norm),
    test_cfg=dict(score_thr=0.001),
)
train_dataloader = dict(dataset=dict(pipeline=steps))
# Of several processes on a CPU, which the helper script sets by itself.
model_wrapper_cfg = dict(
    type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
)
"""
ON_CPU = """\
import torch
from mmengine import dist

import det

if __name__ == "__main__":
    dist.init_dist = lambda launcher: torch.distributed.init_process_group("gloo")
    det.main()
"""


@pytest.fixture(scope="module")
def config(make_folder):
    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (base,) = configs.rglob(f"{BASE}.py")
    file = make_folder("plain") / "plain_1xb4.py"
    file.write_text(PLAIN.format(base=str(base)))
    return file


@pytest.fixture(scope="module")
def trained(demo, config, make_folder, command):
    """(mode, processes) -> the folder of a training with four images in a step."""
    made = {}

    def get(mode, processes):
        if (mode, processes) not in made:
            folder = make_folder(f"{mode}_{processes}")
            script = create_script(
                folder / "det.py", "det", str(config), vanilla=mode == "vanilla"
            )
            options = f"--epoch 2 --batch_size {4 // processes} --num_workers 0"
            options += " --weights none --device cpu --output_weights out/a.pth"
            data = ["--label", demo.label, "--train", demo.train]
            data += ["--valid", demo.valid, "--test", demo.test]
            arguments = ["train", *map(str, data), *options.split()]
            if mode == "vanilla":
                script = folder / "on_cpu.py"
                script.write_text(ON_CPU)
            done = command(script, *arguments, processes=processes)
            assert done.returncode == 0, done.stdout + done.stderr
            made[mode, processes] = folder, done.stdout
        return made[mode, processes]

    return get


@pytest.fixture(scope="module")
def command(command):
    """The scripts' own command, or torchrun's with so many processes."""

    def run(script, *arguments, processes):
        if processes == 1:
            return command(script, *arguments)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
        torchrun += ["--master_port", str(port), script.name]
        return command(script, *arguments, start=torchrun)

    return run


def weights(folder):
    return read_weights(folder / "out" / "a.pth")["state_dict"]


@pytest.mark.train
@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_two_processes_learn_what_one_learns(mode, trained):
    (one, _), (two, _) = trained("helper", 1), trained(mode, 2)
    rates = [
        pd.read_csv(folder / "out" / "a.train_stats.train.txt", sep="\t")["lr"]
        for folder in (one, two)
    ]
    assert rates[0].tolist() == rates[1].tolist(), "four images a step in both"
    # One step an epoch with all four images: the order of a sum is what differs.
    before, after = weights(one), weights(two)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=1e-4)


@pytest.mark.train
@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_two_processes_measure_what_one_measures(mode, trained, demo):
    folder, _ = trained(mode, 2)
    scores = pd.read_csv(folder / "out" / "a.train_stats.valid.txt", sep="\t")
    best = scores["coco/bbox_mAP"].max()
    alone = create_model(folder / "out" / "a.pth").evaluate(demo.valid)
    assert alone["stats"]["AP@[0.50:0.95|all|100]"] == pytest.approx(best, abs=1e-3)


@pytest.mark.train
@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_one_process_writes_and_speaks(mode, trained):
    folder, text = trained(mode, 2)
    for epoch in (1, 2):
        line = f"epoch {epoch}/2" if mode == "helper" else f"Epoch(train) [{epoch}]"
        assert text.count(line) == 1
    logs = list((folder / "out" / "a").glob("*/vis_data/scalars.json"))
    assert len(logs) == 1
    lines = [json.loads(line) for line in logs[0].read_text().splitlines()]
    assert [line["epoch"] for line in lines if "loss" in line] == [1, 2]
    report = json.loads((folder / "out" / "a.test_stats.json").read_text())
    assert set(report["class_stats"]) == {*report["class_stats"]} and report["stats"]
    config = (folder / "out" / "a.py").read_text()
    assert "launcher = 'none'" in config, "it starts alone when it is used again"
