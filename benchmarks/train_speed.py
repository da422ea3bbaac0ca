"""Seconds that a step and an epoch of a training take: cvtk beside MMDetection's own way, idle and with a busy program.

    python benchmarks/train_speed.py [--data FOLDER] [--turns 3] [--epoch 3]

MMDetection's way is what its `tools/train.py` does: `Runner.from_cfg(Config.fromfile(...)).train()`, on the
configuration that cvtk wrote. All take turns, each in a process of its own; the busy program is a Python that counts.
Where the processor computes with bfloat16, cvtk is timed with `--amp` too, which changes the results; and with the busy
program once more with as many threads as there are cores, where by itself it takes fewer. A step is the median of the
last epochs, an epoch goes from its last step to the last of the next one, so it has the validation and the checkpoints in
it; the first epoch, in which workers start, is left out. Ratios are those of the epochs, turn by turn.

FOLDER has `label.txt`, `train/segm.json` and `valid/segm.json`; without it, scenes are drawn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import mmdet
import torch

import cvtk
from cvtk.demo import make_demo
from cvtk.engine.precision import cpu_has_bfloat16

MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"
# Both write when each step ended, and how many steps an epoch has.
CVTK = """
import json, sys, time
import cvtk

ends = []
def note(done, total, numbers):
    if len(ends) < done:
        ends.append(time.perf_counter())

if __name__ == "__main__":
    output, model, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    labels = options.pop("labels")
    cvtk.create_model(model, labels=labels).train(
        output_weights=f"{output}.pth", progress=note, **options
    )
    open(f"{output}.json", "w").write(json.dumps(ends))
"""
BY_HAND = """
import json, sys, time
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

class Clock(Hook):
    ends = []
    def after_train_iter(self, *args, **kwargs):
        self.ends.append(time.perf_counter())

if __name__ == "__main__":
    output, cfg = sys.argv[1], Config.fromfile(sys.argv[2])
    cfg.work_dir = output
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Clock())
    runner.train()
    open(f"{output}.json", "w").write(json.dumps(Clock.ends))
"""


@contextlib.contextmanager
def busy_program() -> Iterator[None]:
    """Another program that keeps one core busy."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def run(command: list[str], surroundings: Mapping[str, str]) -> None:
    """Runs a training in a process of its own."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **surroundings},
    )
    if done.returncode:
        sys.exit(done.stderr)


def seconds(file: Path, epochs: int) -> tuple[float, float]:
    """Seconds per step and per epoch, from when each step ended."""
    ends = json.loads(file.read_text())
    steps = len(ends) // epochs
    each = [
        after - before
        for number, (before, after) in enumerate(pairwise(ends), 1)
        if number >= steps and number % steps
    ]
    return statistics.median(each), (ends[-1] - ends[steps - 1]) / (epochs - 1)


def train_options(data: Path, chosen: argparse.Namespace) -> str:
    """What cvtk is called with, as JSON."""
    options = {
        "labels": str(data / "label.txt"),
        "train": str(data / "train" / "segm.json"),
        "valid": str(data / "valid" / "segm.json"),
        "epochs": chosen.epoch,
        "image_size": chosen.image_size,
        "weights": "none",
        "device": "cpu",
        "force": True,
    }
    return json.dumps(options)


def measure(
    folder: Path, options: str, chosen: argparse.Namespace
) -> Iterator[tuple[str, str, list[tuple[float, float]], list[tuple[float, float]]]]:
    """Yields for each state and way seconds per step and epoch by turn, and those of MMDetection in these turns."""
    ours, hand = folder / "ours.py", folder / "hand.py"
    ours.write_text(CVTK)
    hand.write_text(BY_HAND)
    cvtks = [str(ours), str(folder / "trained"), MODEL, options]
    by_hand = [str(hand), str(folder / "hand"), str(folder / "trained.py")]
    cores = os.cpu_count() or 2
    amp = json.dumps({**json.loads(options), "amp": True})
    ways = {
        "cvtk": (cvtks, {}),
        "MMDetection": (by_hand, {}),
    }
    if cpu_has_bfloat16():
        ways["cvtk, amp"] = ([*cvtks[:-1], amp], {})
    for state in chosen.states:
        if state == "busy":
            ways[f"cvtk, {cores} threads"] = (cvtks, {"OMP_NUM_THREADS": str(cores)})
        names = list(ways)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        with busy_program() if state == "busy" else contextlib.nullcontext():
            for _ in range(chosen.turns):
                for name in names:
                    command, surroundings = ways[name]
                    run(command, surroundings)
                    file = Path(f"{command[1]}.json")
                    found[name].append(seconds(file, chosen.epoch))
                    print(state, name, found[name][-1], file=sys.stderr, flush=True)
        for name in names:
            yield state, name, found[name], found["MMDetection"]


def main() -> None:
    """Runs all in turn, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument(
        "--images", type=int, default=60, help="to draw, without --data"
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epoch", type=int, default=3)
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--states", nargs="+", default=["idle", "busy"])
    chosen = parser.parse_args()
    print(
        f"{MODEL}, {chosen.image_size} pixels, batch 4, {os.cpu_count()} cores; {chosen.turns} turns;"
        f" PyTorch {torch.__version__}, MMDetection {mmdet.__version__}, cvtk {cvtk.__version__}\n"
    )
    print(f"{'':6} {'':24} {'s/step':>7} {'s/epoch':>8}   epochs, times as fast")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = chosen.data
        if data is None:
            data = folder / "data"
            make_demo(data, images=(chosen.images, 10, 1), size=(640, 480), seed=0)
        options = train_options(data, chosen)
        for state, way, found, hand in measure(folder, options, chosen):
            step, epoch = (
                statistics.median(values) for values in zip(*found, strict=True)
            )
            ratios = [b / a for (_, a), (_, b) in zip(found, hand, strict=True)]
            print(
                f"{state:6} {way:24} {step:7.3f} {epoch:8.2f}   {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
