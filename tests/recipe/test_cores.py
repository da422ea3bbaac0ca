"""A training leaves cores that other programs keep busy to them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs PyTorch")

from cvtk.recipe.cores import busy_between


def test_busy_cores_are_counted_without_programs_that_give_way():
    # user nice system idle waiting interrupts soft stolen, in hundredths of a second
    start = """cpu  0 0 0 0 0 0 0 0
cpu0 100 0 100 500 0 0 0 0
cpu1 100 0 100 500 0 0 0 0
cpu2 100 0 100 500 0 0 0 0
intr 12345 0 0
"""
    end = """cpu  0 0 0 0 0 0 0 0
cpu0 130 0 110 540 10 5 5 0
cpu1 100 80 100 520 0 0 0 0
cpu2 200 0 100 500 0 0 0 0
intr 23456 0 0
"""
    assert busy_between(start, end, {0}) == pytest.approx(0.5)  # 30 + 10 + 5 + 5
    assert busy_between(start, end, {1}) == 0  # `nice`
    assert busy_between(start, end, {0, 1, 2}) == pytest.approx(1.5)
    assert busy_between(start, start, {0, 1, 2}) == 0


# With a busy program beside it on the one core that both may use.
BESIDE_ANOTHER = """
import os, subprocess, sys, torch
from cvtk.recipe.cores import leave_busy_cores
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    torch.set_num_threads(2)
    said = leave_busy_cores()
    print(torch.get_num_threads(), said)
finally:
    other.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells how busy cores are")
@pytest.mark.parametrize("chosen", [{}, {"OMP_NUM_THREADS": "2"}])
def test_a_training_leaves_busy_cores_to_others(chosen):
    names = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}
    env = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_ANOTHER],
        env={**env, **chosen},
        capture_output=True,
        text=True,
        check=True,
    )
    threads, _, said = done.stdout.strip().partition(" ")
    if chosen:
        assert (threads, said) == ("2", "")
    else:
        assert threads == "1"
        assert "so the training computes in 1 of 2 threads" in said
