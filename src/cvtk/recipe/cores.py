"""How many of the processor's cores a training uses: those that other programs leave it."""

from __future__ import annotations

import os
import time
from pathlib import Path


def leave_busy_cores() -> str:
    """Leaves cores that other programs keep busy to them, unless the user has set the number of threads.

    All threads wait for the slowest one many times in each step. On a core that it shares, it is often not running.

    Returns:
        A sentence where there are fewer threads now, else nothing.
    """
    import torch

    if {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        return ""
    threads, busy = torch.get_num_threads(), busy_cores()
    fewer = max(1, threads - round(busy + 0.25))  # a third of a core is felt
    if fewer >= threads:
        return ""
    torch.set_num_threads(fewer)
    return (
        f"Other programs keep {busy:.1f} cores busy, so the training computes in {fewer} of {threads} threads, which is"
        f" faster. To use {threads}, set OMP_NUM_THREADS={threads}; the metrics then differ a little, as with another seed."
    )


def busy_cores(seconds: float = 0.5) -> float:
    """How many of the cores that this process may use are busy while it sleeps; 0 where Linux does not tell."""
    clock = Path("/proc/stat")
    if not clock.exists():
        return 0.0
    start = clock.read_text()
    time.sleep(seconds)
    return busy_between(start, clock.read_text(), os.sched_getaffinity(0))


def busy_between(start: str, end: str, cores: set[int]) -> float:
    """How many cores were busy between two states of `/proc/stat`, not counting programs that give way (`nice`).

    Args:
        start: The earlier text; see `man proc_stat`.
        end: The later text.
        cores: The numbers of those that count.
    """
    total = 0.0
    before, after = _ticks(start), _ticks(end)
    for core in cores & before.keys() & after.keys():
        user, nice, system, idle, waiting, interrupts, soft = (
            later - earlier
            for earlier, later in zip(before[core], after[core], strict=True)
        )
        busy = user + system + interrupts + soft
        total += busy / max(1, busy + nice + idle + waiting)
    return total


def _ticks(text: str) -> dict[int, list[int]]:
    """By core, how long it did what."""
    found = {}
    for line in text.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            found[int(name[3:])] = [int(value) for value in values[:7]]
    return found
