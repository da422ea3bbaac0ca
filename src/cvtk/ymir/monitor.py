"""The line in monitor.txt, by which the platform sees how far a task is, and that it failed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from cvtk.io import atomic_write, read_text
from cvtk.ymir.failures import Code

RUNNING, ERROR = 2, 4


class Monitor:
    """Writes the line: task, seconds since 1970, progress from 0.00 to 1.00, state and return code.

    Progress never goes back, not even from one process of a task to the next.

    Args:
        file: monitor.txt.
        task_id: The task.
    """

    def __init__(self, file: Path, task_id: str) -> None:
        self.file = file
        self.task_id = task_id

    def show(self, progress: float) -> None:
        """Shows that the task runs, and how far it is (0 to 1)."""
        self._write(max(progress, self.progress), RUNNING, Code.NONE)

    def fail(self, code: Code) -> None:
        """Shows that the task failed, where it had come to."""
        self._write(self.progress, ERROR, code)

    @property
    def progress(self) -> float:
        """What is shown, 0 to 1; 0 where nothing is."""
        with contextlib.suppress(Exception):  # no file yet, or something else in it
            return min(float(read_text(self.file).split("\t")[2]), 1.0)
        return 0.0

    def _write(self, progress: float, state: int, code: Code) -> None:
        now = f"{time.time():.6f}"
        line = f"{self.task_id}\t{now}\t{progress:.2f}\t{state}\t{int(code)}"
        with atomic_write(self.file, force=True) as part:
            part.write_text(f"{line}\n", encoding="utf-8")
