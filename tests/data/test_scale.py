"""The benchmark of large files runs, on a small one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "data_scale.py"


def test_the_benchmark_runs_and_compares_in_one_run():
    command = [
        sys.executable,
        str(BENCHMARK),
        "--images",
        "60",
        "--annotations",
        "2400",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in (
        "json.load",
        "pycocotools.COCO",
        "cvtk: read",
        "cvtk: read, check, split",
        "at most json's memory",
    ):
        assert f"\n{line}" in done.stdout
