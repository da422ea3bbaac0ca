"""Seconds a training step takes: helper script, vanilla script, MMEngine's `Runner` by hand.

All three train the same configuration on the same made-up images, in turn, several times
over. By hand means: `Runner.from_cfg(Config.fromfile(...)).train()` on the configuration
that the helper script wrote. The limit is a ratio of 1.02 to that.

    python benchmarks/train_overhead.py [--rounds 3] [--epoch 4] [--image_size 256]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cvtk.demo import make_demo
from cvtk.engine.weights import read_weights
from cvtk.scripts.create import create_script

MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"
LIMIT = 1.02
BY_HAND = """
import sys
from mmengine.config import Config
from mmengine.runner import Runner

if __name__ == "__main__":
    cfg = Config.fromfile(sys.argv[1])
    cfg.work_dir = sys.argv[2]
    Runner.from_cfg(cfg).train()
"""


def step_seconds(workspace: Path) -> float:
    """The median over the steps of a run, without the first five, from its last checkpoint."""
    checkpoint = read_weights(max(workspace.glob("epoch_*.pth")))
    seconds, _ = checkpoint["message_hub"]["log_scalars"]["train/time"].data
    return statistics.median(seconds[5:])


def main() -> None:
    """Runs all three in turn, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epoch", type=int, default=4)
    parser.add_argument("--image_size", type=int, default=256)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"helper": [], "vanilla": [], "by hand": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_demo(folder / "data", images=(24, 1, 1), size=(320, 240), seed=0)
        arguments = [
            f"train --label {data.label} --train {data.train} --weights none",
            f"--epoch {options.epoch} --batch_size 4 --image_size {options.image_size}",
        ]
        hand = folder / "by_hand.py"
        hand.write_text(BY_HAND)
        for mode in ("helper", "vanilla"):
            create_script(
                folder / f"{mode}.py", "segm", MODEL, vanilla=mode == "vanilla"
            )
        for number in range(options.rounds):
            for mode, found in seconds.items():
                workspace = folder / f"{mode.replace(' ', '_')}{number}"
                command = [sys.executable, str(folder / f"{mode}.py")]
                command += " ".join(arguments).split()
                command += ["--output_weights", f"{workspace}.pth"]
                if mode == "by hand":
                    config = folder / f"helper{number}.py"
                    command = [sys.executable, str(hand), str(config), str(workspace)]
                run = subprocess.run(
                    command, capture_output=True, text=True, check=False
                )
                if run.returncode:
                    sys.exit(f"{mode}: {run.stderr}")
                found.append(step_seconds(workspace))
    print(f"{MODEL}, {options.image_size} pixels, batch 4, {os.cpu_count()} cores;")
    print(
        f"median step of each of {options.rounds} runs, in turn; ratio pair by pair\n"
    )
    print(
        f"{'':10} {'s a step':>9} {'lowest':>8} {'highest':>8} {'ratio to by hand':>17}"
    )
    for mode, found in seconds.items():
        pairs = zip(found, seconds["by hand"], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        row = f"{mode:10} {statistics.median(found):9.3f} {min(found):8.3f} {max(found):8.3f}"
        print(
            f"{row} {ratio:17.3f}" + (f"  (limit {LIMIT})" if mode == "helper" else "")
        )


if __name__ == "__main__":
    main()
