"""The line that shows how far something is: on a terminal and in a notebook, with the time left."""

from __future__ import annotations

import datetime
import html
import sys
import time
from dataclasses import dataclass
from typing import Any

from cvtk.log import console

BAR = 20  # characters
SECONDS_BETWEEN = 0.2


@dataclass(frozen=True, repr=False)
class Standing:
    """How far something is.

    Attributes:
        done: What is done.
        total: What there is in all; 0 where nobody knows.
        before: What stands before the bar.
        after: What stands behind it, such as the time left.
        count: Both numbers as they are read; `3/10` where left out.
    """

    done: int
    total: int
    before: str = ""
    after: str = ""
    count: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a share of the total to be shown."""
        return 0 < self.total >= self.done

    @property
    def counted(self) -> str:
        """Both numbers, or what is done where the total is not known."""
        known = f"{self.done}/{self.total}" if self.is_known else str(self.done)
        return self.count or known

    def __str__(self) -> str:
        middle = self.counted
        if self.is_known:
            bar = "#" * (BAR * self.done // self.total)
            middle = f"[{bar:.<{BAR}}] {middle}"
        return "  ".join(filter(None, (self.before, middle, self.after)))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The line in a notebook."""
        bar = ""
        if self.is_known:
            bar = f'<progress value="{self.done}" max="{self.total}"></progress> '
        words = " \u00b7 ".join(filter(None, (self.before, self.counted, self.after)))
        return bar + html.escape(words)


class Bar:
    """A line on a terminal or in a notebook that is replaced as something goes on; elsewhere nothing is shown."""

    def __init__(self) -> None:
        self._shown = float("-inf")
        self._handle: Any = None  # of the notebook's output

    def show(self, standing: Standing) -> None:
        """Shows how far it is, unless it has just done so."""
        now = time.monotonic()
        if now - self._shown < SECONDS_BETWEEN and standing.done != standing.total:
            return
        self._shown = now
        if console().isatty():
            print(f"\r{standing!s:<79}", end="", file=console(), flush=True)
        elif in_notebook():
            self._show_in_notebook(standing)

    def _show_in_notebook(self, standing: Standing) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(standing, display_id=True)
        else:
            self._handle.update(standing)

    def clear(self) -> None:
        """Makes room for a message; in a notebook there is room."""
        if console().isatty():
            print(f"\r{'':<79}\r", end="", file=console(), flush=True)


def in_notebook() -> bool:
    """Whether this is the process of a notebook: what runs the cells there has a kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Progress:
    """A bar that counts images.

    Args:
        total: Images in all; 0 where nobody knows.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._start = time.monotonic()
        self._bar = Bar()

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
        self._bar.show(standing(self.done, self.total, self.seconds))

    def clear(self) -> None:
        """Makes room for a message."""
        self._bar.clear()


def standing(done: int, total: int, seconds: float) -> Standing:
    """How far images are, with their rate and the time left.

    Args:
        done: Images that are done.
        total: Images in all; 0 where nobody knows.
        seconds: What they took.
    """
    rate = done / seconds if seconds > 0 else 0.0
    speed = f"{rate:.2f} images/s"
    if total < done:
        return Standing(done, 0, after=speed, count=f"{done} images")
    left = datetime.timedelta(seconds=int((total - done) / rate)) if rate else "?"
    return Standing(done, total, after=f"{speed}  ETA {left}")
