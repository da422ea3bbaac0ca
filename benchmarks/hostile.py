"""How the scripts end on hostile options, annotations, images, weights and disks.

    python benchmarks/hostile.py [--count 10000] [--seed 0] [--seconds 600] [--scripts helper vanilla]

Each case draws a kind of script, a command and up to two attacks (tests/scripts/hostile_attacks.py). A good end
is success, one line, or argparse's usage; what a vanilla script leaves to MMDetection is counted apart. Prints
a table of the ends, and each failure once with the command that repeats it. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "scripts"))

from hostile_attacks import OF, is_possible
from hostile_cases import MODES, Outcome, Scripts, small_process


def place_of(outcome: Outcome) -> str:
    """Where a traceback ends: failures of one place are shown once."""
    frames = [line for line in outcome.stack.splitlines() if line.startswith("  File ")]
    return frames[-1].strip() if frames else outcome.detail[:60]


def draw(rng: random.Random, modes: Sequence[str]) -> tuple[str, str, list[str], int]:
    """A case: the kind of script, the command, the attacks and their seed."""
    command = rng.choice(list(OF))
    mode = rng.choice(modes)
    possible = [name for name in OF[command] if is_possible(mode, command, name)]
    attacks = rng.sample(possible, rng.choice([1, 1, 2]))
    return mode, command, attacks, rng.randrange(1000)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop after"
    )
    parser.add_argument("--scripts", nargs="+", choices=MODES, default=MODES)
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="MODE COMMAND SEED ATTACK..."
    )
    args = parser.parse_args()
    table: Counter[tuple[str, str, str]] = Counter()
    found: dict[tuple[str, str], str] = {}
    with small_process(), tempfile.TemporaryDirectory() as folder:
        scripts = Scripts(Path(folder))
        if args.only:
            mode, command, seed, *attacks = args.only
            outcome = scripts.run(mode, command, attacks, int(seed))
            print(outcome.kind, outcome.detail, outcome.stack, sep="\n")
            return 0 if outcome.good else 1
        rng, start, done = random.Random(args.seed), time.perf_counter(), 0
        while done < args.count and time.perf_counter() - start < args.seconds:
            mode, command, attacks, seed = draw(rng, args.scripts)
            outcome = scripts.run(mode, command, attacks, seed)
            done += 1
            table[mode, command, outcome.kind] += 1
            if done % 500 == 0:
                spent = time.perf_counter() - start
                print(f"{done} cases in {spent:.0f} s", file=sys.stderr, flush=True)
            if outcome.good:
                continue
            key = (outcome.kind, place_of(outcome))
            if key not in found:
                repeat = " ".join([mode, command, str(seed), *map(repr, attacks)])
                found[key] = (
                    f"--only {repeat}\n    {outcome.kind}: {outcome.detail}\n    {key[1]}"
                )
                print(found[key], file=sys.stderr, flush=True)
        seconds = time.perf_counter() - start
    print(f"{'script':<9}{'command':<11}{'end':<22}{'cases':>7}")
    for (mode, command, kind), count in sorted(table.items()):
        print(f"{mode:<9}{command:<11}{kind:<22}{count:>7}")
    print(f"{done} cases in {seconds:.0f} s; {len(found)} different failures")
    for text in found.values():
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
