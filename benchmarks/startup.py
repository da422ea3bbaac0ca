"""How long the light commands take to start, and how much memory: best of several fresh processes.

    python benchmarks/startup.py [RUNS]

Beside each number stands its limit. A bare `python -c pass` is the floor, `import torch` is what is avoided.
Exit code 1 where a limit is passed or a command fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

LIMIT_SECONDS, LIMIT_MB = 0.3, 60.0


def measure(command: list[str]) -> tuple[float, float, int]:
    """Runs a command with its output thrown away; wall seconds, peak memory in MB (1e6 bytes), exit code."""
    with Path(os.devnull).open("w") as nothing:
        quiet = [(os.POSIX_SPAWN_DUP2, nothing.fileno(), stream) for stream in (1, 2)]
        start = perf_counter()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
        _, status, usage = os.wait4(pid, 0)
        seconds = perf_counter() - start
    peak = usage.ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )  # bytes on macOS, else KiB
    return seconds, peak / 1e6, os.waitstatus_to_exitcode(status)


def main(runs: int) -> int:
    python, cvtk = sys.executable, str(Path(sys.executable).with_name("cvtk"))
    failed = False
    print(
        f"{'command':<32}{'seconds':>9}{'limit':>7}{'MB':>9}{'limit':>7}   (best of {runs})"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = str(Path(folder) / "segm.py")
        table = {
            "python -c pass": ([python, "-c", "pass"], False),
            "python -c 'import cvtk'": ([python, "-c", "import cvtk"], True),
            "cvtk --help": ([cvtk, "--help"], True),
            "cvtk create": (
                [cvtk, "create", "--script", script, "--task", "segm", "--force"],
                True,
            ),
            "cvtk create --vanilla": (
                [
                    cvtk,
                    "create",
                    "--script",
                    script,
                    "--task",
                    "segm",
                    "--vanilla",
                    "--force",
                ],
                True,
            ),
            "python -c 'import torch'": ([python, "-c", "import torch"], False),
        }
        for name, (command, limited) in table.items():
            measured = [measure(command) for _ in range(runs)]
            seconds, peak = min(m[0] for m in measured), min(m[1] for m in measured)
            code = max(abs(m[2]) for m in measured)
            bad = code != 0 or (
                limited and (seconds > LIMIT_SECONDS or peak > LIMIT_MB)
            )
            failed |= bad
            limits = (f"{LIMIT_SECONDS}", f"{LIMIT_MB:.0f}") if limited else ("", "")
            remark = (
                f"   exit code {code}" if code else "   PAST THE LIMIT" if bad else ""
            )
            print(
                f"{name:<32}{seconds:>9.3f}{limits[0]:>7}{peak:>9.1f}{limits[1]:>7}{remark}"
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
