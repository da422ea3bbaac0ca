"""Ctrl+C and SIGTERM: nothing that runs can swallow them for good."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from cvtk.scripts import stop
from cvtk.scripts.run import run
from cvtk.scripts.stop import Stop

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def swallow(number):
    """What MMEngine's `pretty_text` does to a signal: whatever comes is a SyntaxError."""
    try:
        os.kill(os.getpid(), number)
        busy(1)
    except:  # noqa: E722
        raise SyntaxError("Failed to format the config file") from None


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_became_another_error_still_stops(number, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["segm.py", "train"])
    with pytest.raises(SystemExit, match=r"^Stopped\."):
        run(lambda: swallow(number))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_was_swallowed_comes_again(number, monkeypatch):
    monkeypatch.setattr(stop, "AGAIN", 0.05)
    with pytest.raises(KeyboardInterrupt), Stop() as stopping:
        for _ in range(2):
            try:
                swallow(number)
            except SyntaxError:
                assert stopping.asked
        busy(5)
    busy(0.2)  # and not any more


class Worker:
    """What is stopped as it is deleted."""

    def __init__(self, error=None):
        self.error = error

    def __del__(self):
        if self.error:
            raise self.error
        os.kill(os.getpid(), signal.SIGINT)
        busy(1)


def test_a_signal_that_python_swallowed_is_not_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: shown.append(args.exc_type))
    monkeypatch.setattr(stop, "AGAIN", 0.05)
    with pytest.raises(KeyboardInterrupt), Stop():
        Worker(ValueError())
        assert shown == [ValueError], "a mistake is"
        Worker()
        busy(5)
    assert shown == [ValueError]


def fail(error):
    """What `multiprocessing` does in the thread by which a worker hands its images over."""
    sys.excepthook(type(error), error, None)


@pytest.mark.skipif(sys.platform == "win32", reason="workers are no forks there")
def test_a_worker_whose_training_has_ended_shows_no_traceback(capfd, monkeypatch):
    # PyTorch's own for processes that train together names each of them.
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    forks = multiprocessing.get_context("fork")
    with Stop():
        for error in (ConnectionResetError("gone"), ValueError("a mistake")):
            worker = forks.Process(target=fail, args=(error,))
            worker.start()
            worker.join()
    assert capfd.readouterr().err == "ValueError: a mistake\n"


def test_an_import_is_waited_for_but_not_for_long(tmp_path, monkeypatch):
    # PyTorch's would abort the process.
    monkeypatch.syspath_prepend(tmp_path)
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep({})\nopen({!r}, 'w')\n"
    (tmp_path / "quick_import.py").write_text(code.format(0.3, str(tmp_path / "quick")))
    (tmp_path / "slow_import.py").write_text(code.format(60, str(tmp_path / "slow")))
    with pytest.raises(KeyboardInterrupt), Stop():
        import quick_import  # noqa: F401

        busy(5)
    assert (tmp_path / "quick").exists()
    with pytest.raises(KeyboardInterrupt), Stop():
        import slow_import  # noqa: F401
    assert not (tmp_path / "slow").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_all_is_as_before(number):
    before = signal.getsignal(number)
    with Stop() as stopping:
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before
    assert not stopping.asked


def test_what_a_shell_lets_a_program_ignore_stays_ignored():
    # nohup, and a script's `command &`
    code = "from cvtk.scripts.stop import Stop\nimport signal\nwith Stop():\n    signal.raise_signal(2)\nprint('on')"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import signal; signal.signal(2, signal.SIG_IGN)\n{code}",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "on\n", done.stderr
