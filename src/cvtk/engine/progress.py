"""The line that shows how far an inference is: images per second, and the time left."""

from __future__ import annotations

import datetime
import time

from cvtk.log import console

BAR = 20  # characters
SECONDS_BETWEEN = 0.2


class Progress:
    """A bar on a terminal; elsewhere nothing is shown.

    Args:
        total: Images in all; 0 where nobody knows.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._start = time.monotonic()
        self._shown = 0.0

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Images per second so far."""
        return self.done / self.seconds if self.seconds else 0.0

    def step(self) -> None:
        """One more image is done."""
        self.done += 1
        now = time.monotonic()
        due = now - self._shown > SECONDS_BETWEEN or self.done == self.total
        if due and console().isatty():
            self._shown = now
            line = progress_text(self.done, self.total, self.seconds)
            print(f"\r{line:<79}", end="", file=console(), flush=True)

    def clear(self) -> None:
        """Makes room for a message."""
        if console().isatty():
            print(f"\r{'':<79}\r", end="", file=console(), flush=True)


def progress_text(done: int, total: int, seconds: float) -> str:
    """One line on how far it is.

    Args:
        done: Images that are done.
        total: Images in all; 0 where nobody knows.
        seconds: What they took.
    """
    rate = done / seconds if seconds > 0 else 0.0
    if total < done:
        return f"{done} images  {rate:.2f} images/s"
    bar = "#" * (BAR * done // total)
    left = datetime.timedelta(seconds=int((total - done) / rate)) if rate else "?"
    return f"[{bar:.<{BAR}}] {done}/{total}  {rate:.2f} images/s  ETA {left}"
