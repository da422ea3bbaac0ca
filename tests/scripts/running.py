"""Scripts run in this process, where MMDetection is imported already."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def load(script: Path) -> ModuleType:
    """Imports a script, as worker processes do; nothing runs."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(
        0, str(script.parent)
    )  # where Python looks first when it runs a script
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@contextlib.contextmanager
def logging_not_set_up() -> Iterator[None]:
    """As in a process of its own: pytest's handlers would keep cvtk's messages off the console."""
    logger = logging.getLogger("cvtk")
    handlers, propagates, level = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagates
        logger.setLevel(level)


def call(
    script: Path,
    *arguments: str,
    module: ModuleType | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a script as if by the command line.

    For what does not train: MMEngine keeps the log of a training for the life of a process.

    Args:
        script: The script.
        arguments: Its command line.
        module: The script, if it was loaded before.
        folder: Where it runs; in the script's own where left out.
    """
    out, err = io.StringIO(), io.StringIO()
    module, code = module or load(script), 0
    handler, before = signal.getsignal(signal.SIGTERM), (Path.cwd(), sys.argv)
    try:
        os.chdir(folder or script.parent)
        sys.argv = [script.name, *arguments]
        with (
            logging_not_set_up(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                if hasattr(module, "cvtk"):
                    module.cvtk.run(module.main, str(script))
                else:
                    module.main()
            except SystemExit as end:
                # A text is written to stderr by Python, and the exit code is 1.
                code = end.code if isinstance(end.code, int) else 1
                err.write(end.code + "\n" if isinstance(end.code, str) else "")
    finally:
        os.chdir(before[0])
        sys.argv = before[1]
        signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
