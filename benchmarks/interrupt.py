"""Stops trainings at random moments, and goes on with them: Ctrl+C, SIGTERM and kill -9, for both scripts.

Each training has worker processes. After the signal it must end within five seconds, and no worker may stay
behind. The same command with --resume must then end with all epochs and whole tables. A tiny network learns
from the demo's images at 64 pixels. Needs Linux or macOS.

    python benchmarks/interrupt.py [--rounds 20] [--seed 0] [--scripts helper vanilla]
        [--signals Ctrl+C SIGTERM "kill -9"]

The helper script must also say "Stopped." where it can, and show no traceback. Exit code 1 where anything of this
does not hold; the end of that training's output is then shown.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cvtk.demo import DemoFiles, make_demo
from cvtk.engine.weights import read_weights
from cvtk.scripts.create import create_script

MODEL = "rtmdet_tiny_8xb32-300e_coco"
EPOCHS = 4
# Before, Python loads itself and the script's first imports, and has a traceback of its own for Ctrl+C.
EARLIEST = 0.3  # seconds from the start to the signal
LIMIT = 5.0  # seconds from the signal to the end of the last process
PATIENCE = 60.0  # seconds until a process that does not end is given up
SIGNALS = {
    "Ctrl+C": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "kill -9": signal.SIGKILL,
}


class Training:
    """One training, which leaves `NAME.pth`, its tables, and what it says in `NAME.log`."""

    def __init__(self, folder: Path, mode: str, name: str, data: DemoFiles) -> None:
        self.folder = folder
        self.name = name
        self.log = folder / f"{name}.log"
        self.weights = folder / f"{name}.pth"
        self.command = [
            *(sys.executable, f"{mode}.py", "train", "--output_weights", f"{name}.pth"),
            *("--label", str(data.label), "--train", str(data.train)),
            *("--valid", str(data.valid), "--epoch", str(EPOCHS), "--batch_size", "1"),
            *("--num_workers", "2", "--image_size", "64", "--weights", "none"),
            *("--device", "cpu"),
        ]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Starts it in a process group of its own, as a shell does."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*self.command, *more],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def problem(self) -> str:
        """What is not as a training leaves it; empty where all is."""
        for split, column in (("train", "epoch"), ("valid", "step")):
            file = self.folder / f"{self.name}.train_stats.{split}.txt"
            if not file.is_file():
                return f"there is no {file.name}"
            table = pd.read_csv(file, sep="\t")
            if table[column].tolist() != list(range(1, EPOCHS + 1)):
                return f"{file.name} has {table[column].tolist()}"
            if table.isna().any(axis=None):
                return f"{file.name} has gaps"
        read_weights(self.weights)
        return ""


@dataclass
class Row:
    """What the rounds of one script and one signal showed."""

    seconds: list[float] = field(default_factory=list)  # of each stopped training
    too_late: int = 0
    left: int = 0
    resumed: int = 0


def processes_of(group: int) -> int:
    """How many processes of a group are there, but for those that have ended and are not collected yet."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True
    )
    found = [line.split() for line in listed.stdout.splitlines()]
    return sum(int(one[0]) == group and not one[1].startswith("Z") for one in found)


def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> float:
    """Sends a signal; the seconds until no process of the training is there, at most `PATIENCE`."""
    start = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends it to all processes
    else:
        process.send_signal(number)
    while time.monotonic() - start < PATIENCE:
        if process.poll() is not None and not processes_of(process.pid):
            break
        time.sleep(0.05)
    return time.monotonic() - start


def clear(process: subprocess.Popen[bytes]) -> int:
    """Ends what is left of a training; how many processes that were."""
    left = processes_of(process.pid)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return left


def one_round(
    training: Training, number: signal.Signals, moment: float, row: Row
) -> str:
    """Stops one training after `moment` seconds, and goes on with it; what went wrong."""
    process = training.start()
    try:
        code = process.wait(moment)
        row.too_late += 1
        return f"it ended by itself with {code}" if code else training.problem()
    except subprocess.TimeoutExpired:
        seconds = stop(process, number)
    finally:
        left = clear(process)
    row.seconds.append(seconds)
    row.left += left
    problems = []
    if seconds > LIMIT:
        problems.append(f"it took {seconds:.1f} s to end, {left} processes stayed")
    said = training.log.read_text()
    if training.command[1] == "helper.py":
        if "Traceback" in said:
            problems.append("a traceback")
        told = "Stopped." in said or training.weights.is_file()  # too late to stop
        if number != signal.SIGKILL and not told:
            problems.append('no "Stopped."')
    code = training.start("--resume").wait()
    problem = f"--resume ended with {code}" if code else training.problem()
    if problem:
        problems.append(problem)
    else:
        row.resumed += 1
    return "; ".join(problems)


def unbroken_seconds(folder: Path, mode: str, data: DemoFiles) -> float:
    """How long a training takes that nobody stops."""
    training = Training(folder, mode, f"{mode}-unbroken", data)
    start = time.monotonic()
    code = training.start().wait()
    problem = f"it ended with {code}" if code else training.problem()
    if problem:
        sys.exit(f"{mode}, not stopped: {problem}\n{training.log.read_text()[-2000:]}")
    return time.monotonic() - start


def main() -> None:
    """Runs all rounds, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scripts", nargs="+", default=["helper", "vanilla"])
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS), choices=SIGNALS)
    options = parser.parse_args()
    # A shell's background job ignores Ctrl+C, and its trainings would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    generator = random.Random(options.seed)
    rows: dict[tuple[str, str], Row] = {}
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_demo(folder / "data", images=(12, 3, 1), size=(128, 96), seed=1)
        for mode in options.scripts:
            script = folder / f"{mode}.py"
            create_script(script, "det", MODEL, vanilla=mode == "vanilla")
            whole = unbroken_seconds(folder, mode, data)
            for label in options.signals:
                number = SIGNALS[label]
                row = rows.setdefault((mode, label), Row())
                for count in range(5 * options.rounds):
                    if len(row.seconds) == options.rounds:
                        break
                    late = row.too_late
                    moment = generator.uniform(EARLIEST, 0.9 * whole)
                    training = Training(folder, mode, f"{mode}-{number}-{count}", data)
                    problem = one_round(training, number, moment, row)
                    if row.too_late > late:
                        whole = moment  # so long it does not take any more
                    if problem:
                        end = training.log.read_text()[-1500:]
                        failures.append(
                            f"{mode}, {label} after {moment:.1f} of {whole:.1f} s: {problem}\n{end}"
                        )
                        print(failures[-1], file=sys.stderr, flush=True)
    print_table(rows)
    if failures:
        sys.exit("\n\n".join(failures))


def print_table(rows: dict[tuple[str, str], Row]) -> None:
    """Prints what was found, a row per script and signal."""
    print(
        f"{'script':<9}{'signal':<9}{'stopped':>8}{'ended before':>14}"
        f"{'seconds to end, most':>22}{'processes left':>16}{'resumed whole':>15}"
    )
    for (mode, label), row in rows.items():
        most = f"{max(row.seconds):.1f}" if row.seconds else "-"
        print(
            f"{mode:<9}{label:<9}{len(row.seconds):>8}{row.too_late:>14}"
            f"{most:>22}{row.left:>16}{row.resumed:>15}"
        )
    print(f"\nLimit: {LIMIT:.0f} seconds to end, no process left, all resumed.")


if __name__ == "__main__":
    main()
