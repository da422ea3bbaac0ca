"""Ctrl+C and SIGTERM end a script, even where a library swallows the first of them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

AGAIN = 1.5  # seconds
IMPORTS = 1.5  # seconds
MOMENT = 0.1  # seconds


class Stop:
    """Raises KeyboardInterrupt where the user or the system wants the program to end.

    Python swallows one that comes in a `__del__`, MMEngine makes a SyntaxError of one that comes as it lays out a
    configuration, and PyTorch aborts where one comes as it is imported. So an import is waited for, for a
    moment, and what was raised is raised again until the block is left.

    Attributes:
        asked: Whether the program shall end.
    """

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0
        self._over = False
        self._process = os.getpid()
        self._again: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:  # as a shell sets it for its background
                self._before[number] = before
                signal.signal(number, self._end)
        self._report = sys.unraisablehook
        sys.unraisablehook = self._report_others
        self._show = sys.excepthook
        sys.excepthook = self._show_others
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over = True
        self._forget_timer()
        sys.unraisablehook = self._report
        sys.excepthook = self._show
        for number, before in self._before.items():
            signal.signal(number, before)

    def _report_others(self, swallowed: sys.UnraisableHookArgs) -> None:
        """Reports what Python swallows in a `__del__`, but for what was raised here, which comes again."""
        if not (self.asked and swallowed.exc_type is KeyboardInterrupt):
            self._report(swallowed)

    def _show_others(
        self,
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        """Shows an error that nobody handles, but for a worker's who finds that its training has ended.

        Workers are forks of this process, and hand their images over in a thread that shows its errors by this hook.
        """
        in_worker = os.getpid() != self._process
        if not (in_worker and issubclass(kind, ConnectionError | EOFError)):
            self._show(kind, error, traceback)

    def _forget_timer(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again.join()

    def _end(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker, which has its own end
            raise KeyboardInterrupt
        if self._over:  # it came as the block was left
            return
        self._forget_timer()
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
        waits = is_importing(frame) and time.monotonic() - self._since < IMPORTS
        timer = threading.Timer(MOMENT if waits else AGAIN, send, [number])
        timer.daemon = True
        timer.start()
        self._again = timer
        if not waits:
            raise KeyboardInterrupt


def send(number: int) -> None:
    """Sends a signal to the main thread, which it wakes up where the system can do that."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:  # Windows
        signal.raise_signal(number)


def is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, from what a signal handler is given."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
