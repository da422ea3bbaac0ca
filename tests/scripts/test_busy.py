"""Beside a program that keeps a core busy, a script computes in fewer threads, and says so."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

# Both on one core; PyTorch would take two threads.
DRIVER = """\
import os, subprocess, sys

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.pop(name, None)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import torch
import detect

torch.set_num_threads(2)
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    detect.main()
finally:
    other.kill()
"""


@pytest.mark.train
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells how busy cores are")
@pytest.mark.parametrize("vanilla", [False, True], ids=["helper", "vanilla"])
def test_a_script_says_that_it_leaves_a_busy_core(vanilla, drive):
    done = drive(DRIVER, vanilla=vanilla, workers=0)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert said.count("so the training computes in 1 of 2 threads") == 1
